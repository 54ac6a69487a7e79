// Runs a fuzz target without libFuzzer: every seed as it is, then N mutations of them, the same for the same --seed.
//
//   x_fuzz [--runs N] [--seconds S] [--seed S] [--discard] [FILE or FOLDER]…
//
// One FILE alone with --runs 0 repeats a crash; --discard keeps no input. A crash, or an input that takes longer than
// ten seconds, is told with the place where the input was kept, and the exit code is 1. The mutations are blind (no
// coverage); that finds what a careless parser does with truncated, spliced and bit-flipped texts, and leaves the rest
// to libFuzzer.
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#endif

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

using Bytes = std::vector<uint8_t>;

constexpr size_t kLargestSeed = 64 << 10;  // larger files are cut: blind mutation gains nothing from length
constexpr size_t kLargestInput = 256 << 10;
constexpr unsigned kHangSeconds = 10;

// What the signal handler needs; it may only read plain memory.
const uint8_t* current_data = nullptr;
size_t current_size = 0;
char crash_path[4096];

void keep_input() {
  int fd = crash_path[0] ? open(crash_path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600) : -1;
  for (size_t done = 0; fd >= 0 && done < current_size;) {
    ssize_t count = write(fd, current_data + done, current_size - done);
    if (count <= 0) break;
    done += static_cast<size_t>(count);
  }
  if (fd >= 0) close(fd);
}

void tell(const char* what) {
  keep_input();
  char text[4500];
  int length = std::snprintf(text, sizeof text, "\n%s on an input of %zu bytes; %s%s\n", what, current_size,
                             crash_path[0] ? "it is kept in " : "not kept", crash_path);
  if (write(STDERR_FILENO, text, static_cast<size_t>(length)) < 0) _exit(2);
}

void on_signal(int signal) {
  tell(signal == SIGALRM ? "hung" : "crashed");
  _exit(1);
}

#ifdef __SANITIZE_ADDRESS__
void on_sanitizer_death() { tell("crashed"); }
#endif

void watch_for_crashes() {
#ifdef __SANITIZE_ADDRESS__
  // The sanitizer's own handlers print where; they call this before the process ends.
  __sanitizer_set_death_callback(on_sanitizer_death);
  for (int number : {SIGABRT, SIGALRM}) ::signal(number, on_signal);
#else
  for (int number : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGALRM}) ::signal(number, on_signal);
#endif
}

void run(const Bytes& input) {
  // A copy of exactly this size, so that a sanitizer sees the first byte read past the end.
  Bytes exact(input.begin(), input.end());
  exact.shrink_to_fit();
  current_data = exact.data();
  current_size = exact.size();
  alarm(kHangSeconds);
  LLVMFuzzerTestOneInput(exact.data(), exact.size());
  alarm(0);
}

void read_seed(const std::filesystem::path& path, std::vector<Bytes>* seeds) {
  std::ifstream file(path, std::ios::binary);
  Bytes bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (bytes.size() > kLargestSeed) bytes.resize(kLargestSeed);
  seeds->push_back(std::move(bytes));
}

std::vector<Bytes> read_seeds(const std::vector<std::string>& places) {
  std::vector<std::filesystem::path> files;
  for (const std::string& place : places) {
    if (std::filesystem::is_regular_file(place)) files.emplace_back(place);
    if (!std::filesystem::is_directory(place)) continue;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(place)) {
      if (entry.is_regular_file()) files.push_back(entry.path());
    }
  }
  std::sort(files.begin(), files.end());
  std::vector<Bytes> seeds;
  for (const auto& file : files) read_seed(file, &seeds);
  for (const char* text : {"", "\n", "{\"a\":1}\n", "a,b\n1,\"x\"\n", "\xff\xfe\x00"}) {
    seeds.emplace_back(text, text + std::strlen(text));
  }
  return seeds;
}

// Bytes and words at which parsers go wrong.
const std::vector<std::string>& tokens() {
  static const std::vector<std::string> all = {"\"",
                                               "\\",
                                               "{",
                                               "}",
                                               "[",
                                               "]",
                                               "(",
                                               ")",
                                               ",",
                                               ":",
                                               "\n",
                                               "\r\n",
                                               "\r",
                                               std::string(1, '\0'),
                                               "\xef\xbb\xbf",
                                               "\xed\xa0\x80",
                                               "\xf4\x90\x80\x80",
                                               "\\ud800",
                                               "\\u0000",
                                               "1e400",
                                               "-0",
                                               "-9223372036854775808",
                                               "18446744073709551616",
                                               "0.1",
                                               "null",
                                               "true",
                                               "@",
                                               "#",
                                               "|",
                                               "\"\"\"",
                                               "%",
                                               "9",
                                               "[[",
                                               "]]",
                                               "/*",
                                               "//"};
  return all;
}

class Mutator {
 public:
  Mutator(const std::vector<Bytes>& seeds, uint64_t seed) : seeds_(seeds), random_(seed) {}

  Bytes next() {
    Bytes input = pick(seeds_);
    for (size_t i = 1 + below(6); i > 0; --i) mutate(&input);
    if (input.size() > kLargestInput) input.resize(kLargestInput);
    return input;
  }

 private:
  size_t below(size_t limit) { return limit == 0 ? 0 : random_() % limit; }
  template <typename T>
  const T& pick(const std::vector<T>& from) {
    return from[below(from.size())];
  }

  void mutate(Bytes* input) {
    const size_t at = below(input->size() + 1);
    auto place = input->begin() + static_cast<ptrdiff_t>(at);
    switch (below(8)) {
      case 0:  // flip a bit
        if (at < input->size()) (*input)[at] ^= static_cast<uint8_t>(1u << below(8));
        break;
      case 1:  // any byte
        if (at < input->size()) (*input)[at] = static_cast<uint8_t>(below(256));
        break;
      case 2: {  // a token in between
        const std::string& token = pick(tokens());
        input->insert(place, token.begin(), token.end());
        break;
      }
      case 3: {  // a token over what was there
        const std::string& token = pick(tokens());
        for (size_t i = 0; i < token.size() && at + i < input->size(); ++i)
          (*input)[at + i] = static_cast<uint8_t>(token[i]);
        break;
      }
      case 4:
        input->resize(at);
        break;  // truncate
      case 5:   // drop a piece
        input->erase(place, place + static_cast<ptrdiff_t>(std::min(below(16), input->size() - at)));
        break;
      case 6: {  // the same piece many times: nesting, long runs
        Bytes piece(place, place + static_cast<ptrdiff_t>(std::min(1 + below(8), input->size() - at)));
        for (size_t i = below(64) * below(64); i > 0 && input->size() < kLargestInput; --i) {
          input->insert(input->begin() + static_cast<ptrdiff_t>(at), piece.begin(), piece.end());
        }
        break;
      }
      default: {  // the head of one seed, the tail of another
        const Bytes& other = pick(seeds_);
        input->resize(at);
        input->insert(input->end(), other.begin() + static_cast<ptrdiff_t>(below(other.size() + 1)), other.end());
      }
    }
  }

  const std::vector<Bytes>& seeds_;
  std::mt19937_64 random_;
};

}  // namespace

int main(int argc, char** argv) {
  uint64_t runs = 20000, seed = 1;
  double seconds = 60;
  bool discard = false;
  std::vector<std::string> places;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const bool has_value = i + 1 < argc;
    if (word == "--runs" && has_value) {
      runs = std::strtoull(argv[++i], nullptr, 10);
    } else if (word == "--seed" && has_value) {
      seed = std::strtoull(argv[++i], nullptr, 10);
    } else if (word == "--seconds" && has_value) {
      seconds = std::strtod(argv[++i], nullptr);
    } else if (word == "--discard") {
      discard = true;
    } else {
      places.push_back(word);
    }
  }
  std::snprintf(crash_path, sizeof crash_path, "%s/fuzz-%s-%d.input", std::filesystem::temp_directory_path().c_str(),
                std::filesystem::path(argv[0]).filename().c_str(), getpid());
  if (discard) crash_path[0] = '\0';
  watch_for_crashes();

  const std::vector<Bytes> seeds = read_seeds(places);
  for (const Bytes& bytes : seeds) run(bytes);
  Mutator mutator(seeds, seed);
  const auto started = std::chrono::steady_clock::now();
  uint64_t done = 0;
  for (; done < runs; ++done) {
    if (std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count() > seconds) break;
    run(mutator.next());
  }
  std::printf("%zu seeds and %llu mutations, no crash\n", seeds.size(), static_cast<unsigned long long>(done));
  return 0;
}
