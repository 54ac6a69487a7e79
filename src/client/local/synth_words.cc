#include "client/local/synth_words.h"

#include <algorithm>

#include "base/text.h"

namespace runink::local {
namespace {

using Words = std::vector<std::string>;

std::vector<std::string> parts_of(std::string_view name) {
  std::vector<std::string> parts = {""};
  for (size_t i = 0; i < name.size(); ++i) {
    const char c = name[i];
    const bool upper = c >= 'A' && c <= 'Z';
    const bool border = upper && i > 0 && name[i - 1] >= 'a' && name[i - 1] <= 'z';  // camelCase
    if ((c < '0' || c > '9') && !upper && (c < 'a' || c > 'z')) {
      parts.emplace_back();
      continue;
    }
    if (border) parts.emplace_back();
    parts.back() += upper ? static_cast<char>(c + 32) : c;
  }
  return parts;
}

}  // namespace

namespace {

const std::vector<std::pair<TextSubject, Words>>& subject_words() {
  static const std::vector<std::pair<TextSubject, Words>> kSubjects = {
      {TextSubject::kEmail, {"email", "mail"}},
      {TextSubject::kPhone, {"phone", "telephone", "mobile", "fax"}},
      {TextSubject::kFirstName, {"first", "firstname", "forename", "given"}},
      {TextSubject::kLastName, {"last", "lastname", "surname", "family"}},
      {TextSubject::kCity, {"city", "town"}},
      {TextSubject::kAirport, {"airport", "iata", "origin", "destination"}},
      {TextSubject::kCountry, {"country", "nation"}},
      {TextSubject::kState, {"state", "province", "region"}},
      {TextSubject::kStreet, {"street", "address", "road"}},
      {TextSubject::kPostcode, {"zip", "postcode", "postal"}},
      {TextSubject::kCompany, {"company", "carrier", "airline", "supplier", "vendor", "employer", "merchant", "shop"}},
      {TextSubject::kUrl, {"url", "link", "website", "homepage"}},
      {TextSubject::kIpAddress, {"ip", "ipv4", "address4"}},
      {TextSubject::kHost, {"host", "hostname", "server", "node"}},
      {TextSubject::kCurrency, {"currency"}},
      {TextSubject::kStatus, {"status", "stage"}},
      {TextSubject::kColour, {"colour", "color"}},
      {TextSubject::kVersion, {"version"}},
      {TextSubject::kIdentifier, {"id", "code", "sku", "reference", "ref", "number", "key"}},
      {TextSubject::kCategory, {"category", "section", "department", "kind", "type", "item", "product"}},
      {TextSubject::kSentence,
       {"description", "comment", "note", "notes", "text", "message", "title", "subject", "reason"}},
      {TextSubject::kUser, {"user", "username", "login", "account"}},
      {TextSubject::kFullName,
       {"name", "customer", "person", "passenger", "patient", "employee", "owner", "author", "contact"}},
  };
  return kSubjects;
}

std::vector<SynthName> with_lower(const Words& names) {
  std::vector<SynthName> out;
  for (const auto& name : names) out.push_back({name, to_lower_ascii(name)});
  return out;
}

}  // namespace

bool has_part(std::string_view field_name, std::string_view part) {
  const auto parts = parts_of(field_name);
  return std::find(parts.begin(), parts.end(), part) != parts.end();
}

TextSubject text_subject(std::string_view name, std::string_view pii_kind, std::string_view about) {
  const auto find = [](std::string_view text) -> std::pair<TextSubject, std::string_view> {
    for (const auto& [subject, words] : subject_words()) {
      for (const auto& word : words) {
        if (!text.empty() && has_part(text, word)) return {subject, word};
      }
    }
    return {TextSubject::kWords, ""};
  };
  if (const auto found = find(pii_kind); found.first != TextSubject::kWords) return found.first;
  const auto found = find(name);
  // A bare "name" is that of what the record, or the struct, is.
  if (found.second != "name" || !pii_kind.empty()) return found.first;
  const size_t dot = name.rfind('.');
  const std::string_view whose = dot == std::string_view::npos ? about : name.substr(0, dot);
  static const Words kPlacesWithNames = {"airport", "station", "hotel", "school",  "hospital", "shop",
                                         "store",   "branch",  "depot", "harbour", "museum"};
  static const Words kPeople = {"user",  "member", "student", "driver",    "people",  "agent",  "guest",
                                "buyer", "seller", "sender",  "recipient", "manager", "doctor", "teacher"};
  for (const auto& place : kPlacesWithNames) {
    if (has_part(whose, place)) return TextSubject::kPlaceName;
  }
  for (const auto& person : kPeople) {
    if (has_part(whose, person)) return TextSubject::kFullName;
  }
  if (parts_of(name.substr(dot + 1)).size() > 1) return TextSubject::kFullName;  // "customer_name"
  const auto owner = find(whose);
  if (owner.first == TextSubject::kCompany) return TextSubject::kCompany;
  return owner.first == TextSubject::kFullName || whose.empty() ? TextSubject::kFullName : TextSubject::kThing;
}

std::string identifier_prefix(std::string_view field_name) {
  const auto parts = parts_of(field_name.substr(field_name.rfind('.') + 1));
  std::string prefix = parts[0].substr(0, 3);
  for (char& c : prefix) c = static_cast<char>(c >= 'a' && c <= 'z' ? c - 32 : c);
  return prefix + "-";
}

std::string owner_part(std::string_view field_name) {
  const size_t dot = field_name.rfind('.');
  if (dot != std::string_view::npos) return std::string(field_name.substr(0, dot));
  const auto parts = parts_of(field_name);
  for (const char* owner : {"sender", "recipient", "buyer", "seller", "customer", "employee", "manager", "patient",
                            "doctor", "shop", "shipping", "billing"}) {
    if (parts[0] == owner) return owner;
  }
  return "";
}

const Words& values_of(TextSubject subject) {
  static const Words kNone;
  static const Words kStates = {"AL", "AZ", "CA", "CO", "FL", "GA", "IL", "KY", "LA", "MA", "MD", "MI", "MN", "MO",
                                "NC", "NJ", "NM", "NV", "NY", "OH", "OK", "OR", "PA", "TN", "TX", "UT", "VA", "WA"};
  static const Words kCompanies = {
      "Aldgate Freight", "Amber Foods",    "Birch & Sons",     "Bluewater Air",  "Cedar Systems",
      "Copper Lane",     "Delta Paper",    "Evergreen Supply", "Fairway Lines",  "Granite Works",
      "Harbour Trade",   "Ivory Textiles", "Juniper Labs",     "Kestrel Energy", "Lindgren Steel",
      "Meridian Rail",   "Northwind",      "Orchard Health",   "Pinecrest",      "Quarry Bank",
      "Redstone Media",  "Silverline",     "Tamarack",         "Umbra Optics",   "Willow Motors"};
  static const Words kStatuses = {"new",  "open",   "active",    "paid",     "shipped",
                                  "done", "closed", "cancelled", "returned", "pending"};
  static const Words kCategories = {"books", "clothing", "electronics", "garden", "grocery", "health",
                                    "home",  "music",    "office",      "sports", "toys",    "travel"};
  static const Words kAirports = {"ABQ", "ATL", "AUS", "BNA", "BOS", "BUR", "BWI", "CLE", "CMH", "DAL",
                                  "DEN", "DFW", "DTW", "EWR", "HOU", "IAD", "IND", "JAX", "JFK", "LAS",
                                  "LAX", "LGA", "MCI", "MCO", "MDW", "MIA", "MSP", "MSY", "OAK", "OKC",
                                  "ONT", "ORD", "PDX", "PHL", "PHX", "PIT", "PVD", "RDU", "RNO", "SAN",
                                  "SAT", "SEA", "SFO", "SJC", "SLC", "SMF", "SNA", "STL", "TPA", "TUL"};
  static const Words kColours = {"amber", "black",  "blue", "brown",  "green", "grey",  "orange",
                                 "pink",  "purple", "red",  "violet", "white", "yellow"};
  switch (subject) {
    case TextSubject::kState:
      return kStates;
    case TextSubject::kCompany:
      return kCompanies;
    case TextSubject::kStatus:
      return kStatuses;
    case TextSubject::kCategory:
      return kCategories;
    case TextSubject::kAirport:
      return kAirports;
    case TextSubject::kColour:
      return kColours;
    default:
      return kNone;
  }
}

const std::vector<SynthName>& first_names() {
  static const std::vector<SynthName> kNames =
      with_lower({"Ada",   "Ahmed",  "Aiko",  "Amara",  "Anders", "Beatriz", "Bilal", "Bruno", "Carmen", "Chen",
                  "Clara", "Dario",  "Deniz", "Dmitri", "Elena",  "Emeka",   "Esi",   "Farah", "Felix",  "Goran",
                  "Grace", "Hana",   "Hugo",  "Ines",   "Ivan",   "Jana",    "Jun",   "Kofi",  "Laila",  "Leon",
                  "Linh",  "Marta",  "Mateo", "Mei",    "Nadia",  "Nils",    "Noor",  "Olga",  "Omar",   "Paula",
                  "Priya", "Rafael", "Rosa",  "Samuel", "Sofia",  "Tomas",   "Uma",   "Vera",  "Yusuf",  "Zoe"});
  return kNames;
}
const std::vector<SynthName>& last_names() {
  static const std::vector<SynthName> kNames = with_lower(
      {"Abbas",    "Almeida", "Andersen", "Baker",    "Banerjee", "Berg",    "Boateng",  "Castro", "Chen",    "Dubois",
       "Eriksen",  "Fischer", "Fontana",  "Garcia",   "Haddad",   "Hansen",  "Horvat",   "Ito",    "Ivanova", "Jensen",
       "Kamau",    "Kaya",    "Kim",      "Kowalski", "Larsen",   "Lopez",   "Martin",   "Mensah", "Moreau",  "Murphy",
       "Nakamura", "Novak",   "Okafor",   "Olsen",    "Patel",    "Pereira", "Quist",    "Rossi",  "Sato",    "Schmidt",
       "Silva",    "Singh",   "Suzuki",   "Tanaka",   "Toth",     "Usman",   "Virtanen", "Weber",  "Yilmaz",  "Zhang"});
  return kNames;
}
const std::vector<SynthPlace>& places() {
  static const std::vector<SynthPlace> kPlaces = {
      {"Accra", "Ghana", "GH", "GHS"},
      {"Ankara", "Turkey", "TR", "TRY"},
      {"Antwerp", "Belgium", "BE", "EUR"},
      {"Austin", "United States", "US", "USD"},
      {"Bergen", "Norway", "NO", "NOK"},
      {"Bilbao", "Spain", "ES", "EUR"},
      {"Bogota", "Colombia", "CO", "COP"},
      {"Boston", "United States", "US", "USD"},
      {"Cairo", "Egypt", "EG", "EGP"},
      {"Calgary", "Canada", "CA", "CAD"},
      {"Chennai", "India", "IN", "INR"},
      {"Chicago", "United States", "US", "USD"},
      {"Cork", "Ireland", "IE", "EUR"},
      {"Denver", "United States", "US", "USD"},
      {"Dublin", "Ireland", "IE", "EUR"},
      {"Ghent", "Belgium", "BE", "EUR"},
      {"Graz", "Austria", "AT", "EUR"},
      {"Hanoi", "Vietnam", "VN", "VND"},
      {"Helsinki", "Finland", "FI", "EUR"},
      {"Izmir", "Turkey", "TR", "TRY"},
      {"Kyoto", "Japan", "JP", "JPY"},
      {"Lagos", "Nigeria", "NG", "NGN"},
      {"Leeds", "United Kingdom", "GB", "GBP"},
      {"Leipzig", "Germany", "DE", "EUR"},
      {"Lima", "Peru", "PE", "PEN"},
      {"Lisbon", "Portugal", "PT", "EUR"},
      {"Lyon", "France", "FR", "EUR"},
      {"Madrid", "Spain", "ES", "EUR"},
      {"Malmo", "Sweden", "SE", "SEK"},
      {"Montreal", "Canada", "CA", "CAD"},
      {"Mumbai", "India", "IN", "INR"},
      {"Nairobi", "Kenya", "KE", "KES"},
      {"Naples", "Italy", "IT", "EUR"},
      {"Osaka", "Japan", "JP", "JPY"},
      {"Oslo", "Norway", "NO", "NOK"},
      {"Perth", "Australia", "AU", "AUD"},
      {"Porto", "Portugal", "PT", "EUR"},
      {"Rabat", "Morocco", "MA", "MAD"},
      {"Recife", "Brazil", "BR", "BRL"},
      {"Rosario", "Argentina", "AR", "ARS"},
      {"Seattle", "United States", "US", "USD"},
      {"Seoul", "South Korea", "KR", "KRW"},
      {"Tallinn", "Estonia", "EE", "EUR"},
      {"Utrecht", "Netherlands", "NL", "EUR"},
      {"Valparaiso", "Chile", "CL", "CLP"},
      {"Wroclaw", "Poland", "PL", "PLN"},
      {"York", "United Kingdom", "GB", "GBP"},
      {"Aarhus", "Denmark", "DK", "DKK"},
  };
  return kPlaces;
}
const Words& plain_words() {
  static const Words kWords = {
      "amber",   "anchor", "apple",   "autumn",  "basin",  "beacon", "birch",   "bridge", "candle",  "canyon",
      "cedar",   "cinder", "clover",  "copper",  "coral",  "delta",  "ember",   "falcon", "fern",    "field",
      "flint",   "garden", "glacier", "harbour", "hazel",  "island", "ivory",   "jasper", "lantern", "lemon",
      "linen",   "maple",  "marble",  "meadow",  "mirror", "nectar", "north",   "ocean",  "olive",   "orchid",
      "paper",   "pebble", "pine",    "quartz",  "raven",  "river",  "saffron", "silver", "spruce",  "summit",
      "thistle", "timber", "valley",  "velvet",  "walnut", "willow", "winter",  "zephyr"};
  return kWords;
}
const Words& street_names() {
  static const Words kStreets = {"Abbey Road",    "Baker Street", "Canal Street", "Church Lane",  "Elm Street",
                                 "Garden Row",    "High Street",  "Hill Road",    "Lake Avenue",  "Main Street",
                                 "Market Square", "Mill Lane",    "North Avenue", "Oak Drive",    "Park Road",
                                 "Quay Street",   "River Walk",   "School Lane",  "Station Road", "Willow Way"};
  return kStreets;
}

}  // namespace runink::local
