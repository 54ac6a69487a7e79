// The head of one HTTP request, parsed (RFC 9112) by Boost.Beast, whose headers stay in the .cc file.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace runink::http {

class RequestHead {
 public:
  explicit RequestHead(size_t max_bytes);
  ~RequestHead();
  RequestHead(const RequestHead&) = delete;
  RequestHead& operator=(const RequestHead&) = delete;

  // Takes from the front of what has come, and says how many bytes of it; the rest is to be handed in again with what
  // comes next, until done() or refusal().
  size_t feed(std::string_view bytes);

  bool done() const { return done_; }
  int refusal() const { return refusal_; }  // the status to answer with, once something is wrong; else 0
  // Once done:
  const std::string& path() const { return path_; }
  bool head_only() const { return head_only_; }
  bool keep_alive() const { return keep_alive_; }
  bool old_version() const { return old_version_; }  // HTTP/1.0

 private:
  int judge();
  struct Parser;
  std::unique_ptr<Parser> parser_;
  bool done_ = false, head_only_ = false, keep_alive_ = false, old_version_ = false;
  int refusal_ = 0;
  std::string path_;
};

}  // namespace runink::http
