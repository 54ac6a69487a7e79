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

bool has_part(std::string_view field_name, std::string_view part) {
  const auto parts = parts_of(field_name);
  return std::find(parts.begin(), parts.end(), part) != parts.end();
}

TextSubject text_subject(std::string_view name, std::string_view pii_kind) {
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
      {TextSubject::kCompany, {"company", "carrier", "airline", "supplier", "vendor", "employer", "merchant"}},
      {TextSubject::kUrl, {"url", "link", "website", "homepage"}},
      {TextSubject::kIpAddress, {"ip", "ipv4", "address4"}},
      {TextSubject::kHost, {"host", "hostname", "server", "node"}},
      {TextSubject::kCurrency, {"currency"}},
      {TextSubject::kStatus, {"status", "stage"}},
      {TextSubject::kColour, {"colour", "color"}},
      {TextSubject::kVersion, {"version"}},
      {TextSubject::kCategory, {"category", "section", "department", "kind", "type"}},
      {TextSubject::kSentence, {"description", "comment", "note", "notes", "text", "message", "title", "subject", "reason"}},
      {TextSubject::kUser, {"user", "username", "login", "account"}},
      {TextSubject::kFullName, {"name", "customer", "person", "passenger", "patient", "employee", "owner", "author", "contact"}},
  };
  for (const std::string_view text : {pii_kind, name}) {
    for (const auto& [subject, words] : kSubjects) {
      for (const auto& word : words) {
        if (!text.empty() && has_part(text, word)) return subject;
      }
    }
  }
  return TextSubject::kWords;
}

const Words& values_of(TextSubject subject) {
  static const Words kNone;
  static const Words kCities = {"Accra", "Almaty", "Ankara", "Antwerp", "Austin", "Bergen", "Bilbao", "Bogota", "Boston", "Brno",
                                "Cairo", "Calgary", "Chennai", "Chicago", "Cork", "Dakar", "Denver", "Dublin", "Durban", "Ghent",
                                "Graz", "Hanoi", "Helsinki", "Izmir", "Jakarta", "Kigali", "Kyoto", "Lagos", "Leipzig", "Lima",
                                "Lisbon", "Lyon", "Madrid", "Malmo", "Manila", "Montreal", "Mumbai", "Nairobi", "Naples", "Osaka",
                                "Oslo", "Perth", "Porto", "Quito", "Riga", "Seattle", "Seoul", "Tallinn", "Utrecht", "Zagreb"};
  static const Words kCountries = {"Argentina", "Australia", "Austria", "Belgium", "Brazil", "Canada", "Chile", "Colombia", "Denmark",
                                   "Egypt", "Estonia", "Finland", "France", "Germany", "Ghana", "India", "Ireland", "Italy", "Japan",
                                   "Kenya", "Mexico", "Morocco", "Netherlands", "Nigeria", "Norway", "Peru", "Poland", "Portugal",
                                   "South Korea", "Spain", "Sweden", "Turkey", "United Kingdom", "United States", "Vietnam"};
  static const Words kCodes = {"AR", "AU", "AT", "BE", "BR", "CA", "CL", "CO", "DK", "EG", "EE", "FI", "FR", "DE", "GH", "IN", "IE",
                               "IT", "JP", "KE", "MX", "MA", "NL", "NG", "NO", "PE", "PL", "PT", "KR", "ES", "SE", "TR", "GB", "US", "VN"};
  static const Words kStates = {"AL", "AZ", "CA", "CO", "FL", "GA", "IL", "KY", "LA", "MA", "MD", "MI", "MN", "MO", "NC", "NJ",
                                "NM", "NV", "NY", "OH", "OK", "OR", "PA", "TN", "TX", "UT", "VA", "WA"};
  static const Words kCompanies = {"Aldgate Freight", "Amber Foods", "Birch & Sons", "Bluewater Air", "Cedar Systems", "Copper Lane",
                                   "Delta Paper", "Evergreen Supply", "Fairway Lines", "Granite Works", "Harbour Trade", "Ivory Textiles",
                                   "Juniper Labs", "Kestrel Energy", "Lindgren Steel", "Meridian Rail", "Northwind", "Orchard Health",
                                   "Pinecrest", "Quarry Bank", "Redstone Media", "Silverline", "Tamarack", "Umbra Optics", "Willow Motors"};
  static const Words kCurrencies = {"EUR", "USD", "GBP", "JPY", "CHF", "SEK", "NOK", "DKK", "PLN", "CAD", "AUD", "BRL", "INR", "KRW"};
  static const Words kStatuses = {"new", "open", "active", "paid", "shipped", "done", "closed", "cancelled", "returned", "pending"};
  static const Words kCategories = {"books", "clothing", "electronics", "garden", "grocery", "health", "home", "music", "office", "sports", "toys", "travel"};
  static const Words kAirports = {"ABQ", "ATL", "AUS", "BNA", "BOS", "BUR", "BWI", "CLE", "CMH", "DAL", "DEN", "DFW", "DTW", "EWR", "HOU",
                                  "IAD", "IND", "JAX", "JFK", "LAS", "LAX", "LGA", "MCI", "MCO", "MDW", "MIA", "MSP", "MSY", "OAK", "OKC",
                                  "ONT", "ORD", "PDX", "PHL", "PHX", "PIT", "PVD", "RDU", "RNO", "SAN", "SAT", "SEA", "SFO", "SJC", "SLC",
                                  "SMF", "SNA", "STL", "TPA", "TUL"};
  static const Words kColours = {"amber", "black", "blue", "brown", "green", "grey", "orange", "pink", "purple", "red", "violet", "white", "yellow"};
  switch (subject) {
    case TextSubject::kCity: return kCities;
    case TextSubject::kCountry: return kCountries;
    case TextSubject::kCountryCode: return kCodes;
    case TextSubject::kState: return kStates;
    case TextSubject::kCompany: return kCompanies;
    case TextSubject::kCurrency: return kCurrencies;
    case TextSubject::kStatus: return kStatuses;
    case TextSubject::kCategory: return kCategories;
    case TextSubject::kAirport: return kAirports;
    case TextSubject::kColour: return kColours;
    default: return kNone;
  }
}

const Words& first_names() {
  static const Words kNames = {"Ada", "Ahmed", "Aiko", "Amara", "Anders", "Beatriz", "Bilal", "Bruno", "Carmen", "Chen", "Clara", "Dario",
                               "Deniz", "Dmitri", "Elena", "Emeka", "Esi", "Farah", "Felix", "Goran", "Grace", "Hana", "Hugo", "Ines",
                               "Ivan", "Jana", "Jun", "Kofi", "Laila", "Leon", "Linh", "Marta", "Mateo", "Mei", "Nadia", "Nils", "Noor",
                               "Olga", "Omar", "Paula", "Priya", "Rafael", "Rosa", "Samuel", "Sofia", "Tomas", "Uma", "Vera", "Yusuf", "Zoe"};
  return kNames;
}
const Words& last_names() {
  static const Words kNames = {"Abbas", "Almeida", "Andersen", "Baker", "Banerjee", "Berg", "Boateng", "Castro", "Chen", "Dubois", "Eriksen",
                               "Fischer", "Fontana", "Garcia", "Haddad", "Hansen", "Horvat", "Ito", "Ivanova", "Jensen", "Kamau", "Kaya",
                               "Kim", "Kowalski", "Larsen", "Lopez", "Martin", "Mensah", "Moreau", "Murphy", "Nakamura", "Novak", "Okafor",
                               "Olsen", "Patel", "Pereira", "Quist", "Rossi", "Sato", "Schmidt", "Silva", "Singh", "Suzuki", "Tanaka",
                               "Toth", "Usman", "Virtanen", "Weber", "Yilmaz", "Zhang"};
  return kNames;
}
const Words& plain_words() {
  static const Words kWords = {"amber", "anchor", "apple", "autumn", "basin", "beacon", "birch", "bridge", "candle", "canyon", "cedar", "cinder",
                               "clover", "copper", "coral", "delta", "ember", "falcon", "fern", "field", "flint", "garden", "glacier", "harbour",
                               "hazel", "island", "ivory", "jasper", "lantern", "lemon", "linen", "maple", "marble", "meadow", "mirror", "nectar",
                               "north", "ocean", "olive", "orchid", "paper", "pebble", "pine", "quartz", "raven", "river", "saffron", "silver",
                               "spruce", "summit", "thistle", "timber", "valley", "velvet", "walnut", "willow", "winter", "zephyr"};
  return kWords;
}
const Words& street_names() {
  static const Words kStreets = {"Abbey Road", "Baker Street", "Canal Street", "Church Lane", "Elm Street", "Garden Row", "High Street",
                                 "Hill Road", "Lake Avenue", "Main Street", "Market Square", "Mill Lane", "North Avenue", "Oak Drive",
                                 "Park Road", "Quay Street", "River Walk", "School Lane", "Station Road", "Willow Way"};
  return kStreets;
}

}  // namespace runink::local
