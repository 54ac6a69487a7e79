// What tests of slices and of the agent ask the host itself, without our code.
#pragma once

#include <optional>
#include <string>

#include "platform/os/fd.h"
#include "platform/os/file.h"

namespace runink::tests {

// Whether it lets this user (nullopt: whoever runs the test) make the namespaces of a slice.
bool can_make_user_namespaces(std::optional<unsigned> user);
// In the folders where Debian has programs; an ordinary user's PATH may lack some.
bool is_on_path(const std::string& program);
// A failure of the test, and no descriptor, when it cannot be opened.
os::Fd must_open(const std::string& path, os::OpenMode mode);

}  // namespace runink::tests
