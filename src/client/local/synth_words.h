// Words that synthetic data is made of, chosen by what a field is called.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace runink::local {

// What a text field seems to hold.
enum class TextSubject {
  kWords,
  kFirstName,
  kLastName,
  kFullName,
  kEmail,
  kPhone,
  kCity,
  kCountry,
  kCountryCode,
  kState,
  kStreet,
  kPostcode,
  kCompany,
  kUrl,
  kHost,
  kIpAddress,
  kCurrency,
  kStatus,
  kCategory,
  kSentence,
  kAirport,
  kUser,
  kColour,
  kVersion,
  kIdentifier,
  kThing,
  kPlaceName,
};
// By the parts of the name ("customer_email", "billing.city") and what pii("…") says.
// `about` is what the records are: the "name" of an Airport is none of a person.
TextSubject text_subject(std::string_view field_name, std::string_view pii_kind, std::string_view about);

// Whole values of a subject; empty for those that are put together of parts (names, e-mail, phone, …) or follow from a
// record's place (city, country, …).
const std::vector<std::string>& values_of(TextSubject subject);

struct SynthName {
  std::string name, lower;  // "Ada", "ada"
};
const std::vector<SynthName>& first_names();
const std::vector<SynthName>& last_names();
struct SynthPlace {
  std::string city, country, code, currency;
};
const std::vector<SynthPlace>& places();
const std::vector<std::string>& plain_words();  // lower case, ASCII
const std::vector<std::string>& street_names();

// "ORD-" of "order_id", "ID-" of "id".
std::string identifier_prefix(std::string_view field_name);
// Of "sender.name" and "sender_email" it is "sender": fields of one owner speak of one person and place.
std::string owner_part(std::string_view field_name);
// Whether the name has this part: "unit_price" has "price".
bool has_part(std::string_view field_name, std::string_view part);

}  // namespace runink::local
