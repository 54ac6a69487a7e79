# language: fr
Fonctionnalité: les vols
  Plan du scénario: <aéroport>
    Étant donné que des vols de <aéroport>
    * rien
    Quand on compte
    Alors c'est écrit
    Exemples:
      | aéroport |
      | Orly     |
