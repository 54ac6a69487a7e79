// Bytes of one stream, cut into lines. What has no line end yet is kept, at most kMostLineBytes of it.
//
// Threads: one at a time.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace runink::agent {

class LineSplitter {
 public:
  // `continues`: the line goes on with the next piece. A carriage return before the line end goes with it.
  using Take = std::function<void(std::string_view text, bool continues)>;

  void feed(std::string_view bytes, const Take& take);
  void finish(const Take& take);  // the stream has ended: what has no line end is a line too
  size_t held() const { return held_.size(); }

 private:
  std::string held_;
};

}  // namespace runink::agent
