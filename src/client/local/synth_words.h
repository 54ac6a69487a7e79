// Words that synthetic data is made of, chosen by what a field is called.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace runink::local {

// What a text field seems to hold.
enum class TextSubject {
  kWords, kFirstName, kLastName, kFullName, kEmail, kPhone, kCity, kCountry, kCountryCode, kState, kStreet, kPostcode, kCompany,
  kUrl, kHost, kIpAddress, kCurrency, kStatus, kCategory, kSentence, kAirport, kUser, kColour, kVersion,
};
// By the parts of the name ("customer_email", "billing.city") and what pii("…") says.
TextSubject text_subject(std::string_view field_name, std::string_view pii_kind);

// Whole values of a subject; empty for those that are put together of parts (names, e-mail, phone, …).
const std::vector<std::string>& values_of(TextSubject subject);
const std::vector<std::string>& first_names();
const std::vector<std::string>& last_names();
const std::vector<std::string>& plain_words();
const std::vector<std::string>& street_names();

// Whether the name has this part: "unit_price" has "price".
bool has_part(std::string_view field_name, std::string_view part);

}  // namespace runink::local
