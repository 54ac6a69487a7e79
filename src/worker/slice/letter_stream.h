// Dead letters on their way from a stage in a slice to the runner, which writes them: a stream of letters and of names
// of source files, in pieces of any size.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/status.h"
#include "data/engine/io.h"

namespace runink::slice {

// One thread at a time.
class LetterWriter {
 public:
  // `send` takes pieces of at most `piece_bytes`. `name` gives the name of a source file by its number.
  LetterWriter(size_t piece_bytes, std::function<Status(std::string_view piece)> send,
               std::function<std::string(uint32_t source)> name);

  // `op`: the operator that rejected it; record.step does not travel.
  Status add(uint32_t op, const engine::RejectedRecord& record);
  Status flush();

 private:
  Status send_pieces(bool all);
  size_t piece_bytes_;
  std::function<Status(std::string_view)> send_;
  std::function<std::string(uint32_t)> name_;
  std::string frame_, waiting_;
  uint32_t named_ = 0;  // sources that the reader knows the names of
};

// The other end, which trusts nothing. One thread at a time.
class LetterReader {
 public:
  struct Handlers {
    // Source files are numbered from 0, in order.
    std::function<Status(uint32_t number, std::string_view name)> source;
    // record.step is empty; views hold for the call only. record.source is a number named before, or none.
    std::function<Status(uint32_t op, const engine::RejectedRecord& record)> letter;
  };
  explicit LetterReader(Handlers handlers) : handlers_(std::move(handlers)) {}
  // kDataLoss for what is no such stream. A handler's error is passed on.
  Status add(std::string_view piece);
  // Whether the stream may end here: not inside a letter.
  bool between_letters() const { return rest_.empty(); }

 private:
  Status frame(std::string_view bytes);
  Handlers handlers_;
  std::string rest_;
  uint32_t sources_ = 0;
};

}  // namespace runink::slice
