// A Console over memory, for tests.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>

#include "client/cli/console.h"

namespace runink::cli {

class CapturedConsole {
 public:
  CapturedConsole()
      : out_(open_memstream(&out_text_, &out_size_)),
        err_(open_memstream(&err_text_, &err_size_)),
        console_(out_, err_) {}
  ~CapturedConsole() {
    std::fclose(out_);
    std::fclose(err_);
    std::free(out_text_);
    std::free(err_text_);
  }
  CapturedConsole(const CapturedConsole&) = delete;
  CapturedConsole& operator=(const CapturedConsole&) = delete;

  Console& console() { return console_; }
  std::string out() {
    std::fflush(out_);
    return std::string(out_text_, out_size_);
  }
  std::string err() {
    std::fflush(err_);
    return std::string(err_text_, err_size_);
  }

 private:
  char* out_text_ = nullptr;
  char* err_text_ = nullptr;
  size_t out_size_ = 0, err_size_ = 0;
  std::FILE* out_;
  std::FILE* err_;
  Console console_;
};

}  // namespace runink::cli
