#include "platform/crypto/seal.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <thread>
#include <vector>

#include "base/text.h"
#include "platform/os/fd.h"
#include "platform/os/file.h"
#include "platform/os/temp.h"

namespace runink::crypto {
namespace {

std::string from_hex(std::string_view text) {
  std::string out;
  for (size_t i = 0; i + 1 < text.size(); i += 2) {
    out += static_cast<char>(std::stoi(std::string(text.substr(i, 2)), nullptr, 16));
  }
  return out;
}

SealingKey key_of(std::string_view bytes) {
  std::array<uint8_t, kKeyBytes> key;
  std::memcpy(key.data(), bytes.data(), kKeyBytes);
  return SealingKey::from_bytes(key);
}

struct Vector {
  const char *key, *nonce, *plain, *associated, *sealed;
};

// The test cases with 256-bit keys and 96-bit nonces of "The Galois/Counter Mode of Operation" (McGrew, Viega), which
// NIST's submission gives as numbers 13 to 16.
constexpr Vector kVectors[] = {
    {"0000000000000000000000000000000000000000000000000000000000000000", "000000000000000000000000", "", "",
     "530f8afbc74536b9a963b4f1c4cb738b"},
    {"0000000000000000000000000000000000000000000000000000000000000000", "000000000000000000000000",
     "00000000000000000000000000000000", "",
     "cea7403d4d606b6e074ec5d3baf39d18"
     "d0d1c8a799996bf0265b98b5d48ab919"},
    {"feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888",
     "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
     "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255",
     "",
     "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
     "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015ad"
     "b094dac5d93471bdec1a502270e3cc6c"},
    {"feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888",
     "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
     "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
     "feedfacedeadbeeffeedfacedeadbeefabaddad2",
     "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
     "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
     "76fc6ece0f4e1768cddf8853bb2d551b"},
};

TEST(SealTest, KnownAnswers) {
  for (const Vector& vector : kVectors) {
    const SealingKey key = key_of(from_hex(vector.key));
    const std::string plain = from_hex(vector.plain), associated = from_hex(vector.associated);
    std::string out(plain.size() + kTagBytes, '\0');
    key.seal_with_nonce_for_test(from_hex(vector.nonce), plain, associated, out.data());
    EXPECT_EQ(to_hex(out), vector.sealed);
    const Result<std::string> back = key.open(from_hex(vector.nonce) + out, associated);
    ASSERT_TRUE(back.ok());
    EXPECT_EQ(*back, plain);
  }
}

// RFC 5869, appendix A.1 to A.3.
TEST(HkdfTest, KnownAnswers) {
  EXPECT_EQ(to_hex(hkdf_sha256(std::string(22, '\x0b'), from_hex("000102030405060708090a0b0c"),
                               from_hex("f0f1f2f3f4f5f6f7f8f9"), 42)),
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
  std::string key, salt, info;
  for (int i = 0; i < 80; ++i) {
    key += static_cast<char>(i);
    salt += static_cast<char>(0x60 + i);
    info += static_cast<char>(0xb0 + i);
  }
  EXPECT_EQ(to_hex(hkdf_sha256(key, salt, info, 82)),
            "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09"
            "da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87");
  EXPECT_EQ(to_hex(hkdf_sha256(std::string(22, '\x0b'), "", "", 42)),
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8");
}

TEST(SealTest, EverySizeComesBack) {
  const SealingKey key = SealingKey::generate();
  for (const size_t size : {0, 1, 15, 16, 17, 4095, 4096, 4097, 100000}) {
    const std::string plain(size, 'p');
    const std::string sealed = key.seal(plain, "place");
    ASSERT_EQ(sealed.size(), size + kSealOverhead);
    EXPECT_EQ(*key.open(sealed, "place"), plain);
    EXPECT_NE(key.seal(plain, "place"), sealed) << "a nonce came twice";
  }
}

TEST(SealTest, EveryBitIsGuarded) {
  const SealingKey key = SealingKey::generate();
  const std::string sealed = key.seal("a short secret", "file 7, offset 0");
  for (size_t bit = 0; bit < sealed.size() * 8; ++bit) {
    std::string wrong = sealed;
    wrong[bit / 8] = static_cast<char>(wrong[bit / 8] ^ 1 << bit % 8);
    std::string out(wrong.size() - kSealOverhead, 'x');
    ASSERT_FALSE(key.open(wrong, "file 7, offset 0", out.data())) << "bit " << bit;
    ASSERT_EQ(out, std::string(out.size(), '\0')) << "what is not authentic was shown";
  }
  for (size_t size = 0; size < sealed.size(); ++size) {
    EXPECT_EQ(key.open(sealed.substr(0, size), "file 7, offset 0").status().code(), Code::kDataLoss);
  }
  EXPECT_EQ(key.open(sealed + "x", "file 7, offset 0").status().code(), Code::kDataLoss);
  EXPECT_EQ(key.open(sealed, "file 7, offset 1").status().code(), Code::kDataLoss);
  EXPECT_EQ(key.open(sealed, "").status().code(), Code::kDataLoss);
  EXPECT_EQ(SealingKey::generate().open(sealed, "file 7, offset 0").status().code(), Code::kDataLoss);
  EXPECT_TRUE(key.open(sealed, "file 7, offset 0").ok());
}

TEST(SealTest, PurposesAndSaltsHaveKeysOfTheirOwnAndOneName) {
  const SealingKey root = SealingKey::generate();
  const SealingKey journal = root.derive("journal"), state = root.derive("state");
  const SealingKey file = state.derive("file", "0123456789abcdef");
  EXPECT_EQ(journal.id(), root.id());
  EXPECT_EQ(file.id(), root.id());
  EXPECT_NE(SealingKey::generate().id(), root.id());
  EXPECT_EQ(key_id_text(root.id()).size(), 16u);
  const std::string sealed = file.seal("x", "");
  for (const SealingKey& other :
       {root, journal, state, state.derive("file", "0123456789abcdeg"), state.derive("file")}) {
    EXPECT_FALSE(other.open(sealed, "").ok());
  }
  EXPECT_TRUE(root.derive("state").derive("file", "0123456789abcdef").open(sealed, "").ok())
      << "derivation is a function";
}

// More keys than a thread keeps contexts for, in turn, so that each slot is given up and taken again.
TEST(SealTest, ManyKeysInTurnAndOnManyThreads) {
  std::vector<SealingKey> keys;
  for (int i = 0; i < 20; ++i) keys.push_back(SealingKey::generate());
  std::vector<std::thread> threads;
  std::vector<int> bad(4);
  for (size_t t = 0; t < bad.size(); ++t) {
    threads.emplace_back([&, t] {
      for (size_t i = 0; i < 400; ++i) {
        const SealingKey& key = keys[(i * 7 + t) % keys.size()];
        const std::string plain = fmt::format("{} of {}", i, t);
        const Result<std::string> back = key.open(key.seal(plain, "a"), "a");
        if (!back.ok() || *back != plain) ++bad[t];
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(bad, std::vector<int>(bad.size(), 0));
}

TEST(NonceTest, MillionAreUnique) {
  std::vector<std::array<uint8_t, kNonceBytes>> nonces(1'000'000);
  const size_t half = nonces.size() / 2;
  std::thread other([&] { std::generate(nonces.begin(), nonces.begin() + half, random_nonce); });
  std::generate(nonces.begin() + half, nonces.end(), random_nonce);
  other.join();
  std::sort(nonces.begin(), nonces.end());
  EXPECT_EQ(std::adjacent_find(nonces.begin(), nonces.end()), nonces.end());
}

TEST(NonceTest, ChildOfAForkDoesNotRepeatThoseOfItsParent) {
  (void)random_nonce();  // a stock that the child inherits
  os::Pipe pipe = *os::make_pipe("nonces of the child");
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const auto nonce = random_nonce();
    ::_exit(::write(pipe.write.get(), nonce.data(), nonce.size()) == kNonceBytes ? 0 : 1);
  }
  std::array<uint8_t, kNonceBytes> theirs;
  EXPECT_EQ(*os::read_full(pipe.read, theirs.data(), theirs.size()), kNonceBytes);
  int status = 1;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_NE(random_nonce(), theirs);
}

class KeyFileTest : public ::testing::Test {
 protected:
  std::string write(std::string_view content, unsigned permissions = 0600) {
    const std::string path = folder_.file("key");
    ::unlink(path.c_str());
    EXPECT_TRUE(os::write_file_atomic(path, content, 0600).ok());
    EXPECT_EQ(::chmod(path.c_str(), permissions), 0);
    return path;
  }
  os::TempFolder folder_ = *os::TempFolder::create("");
};

TEST_F(KeyFileTest, BytesAndHexadecimalDigitsAreTheSameKey) {
  const std::string bytes = from_hex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308");
  const std::string digits = to_hex(bytes);
  for (const std::string& content : {bytes, digits, digits + "\n"}) {
    const Result<SealingKey> key = SealingKey::load(write(content));
    ASSERT_TRUE(key.ok()) << key.status().to_string();
    EXPECT_EQ(key->id(), key_of(bytes).id());
  }
}

TEST_F(KeyFileTest, RefusesWhatIsNoKeyAndShowsNothingOfIt) {
  const std::string digits(64, 'a');
  for (const std::string& content : {std::string(), std::string(31, 'k'), std::string(33, 'k'), digits.substr(1),
                                     digits + "\n\n", digits + "x", std::string(64, 'g'), std::string(5000, 'a')}) {
    const Status status = SealingKey::load(write(content)).status();
    EXPECT_EQ(status.code(), Code::kInvalidArgument) << content.size();
    EXPECT_EQ(status.kind(), "key.format");
    EXPECT_EQ(status.to_string().find("kkkk"), std::string::npos);
    EXPECT_NE(status.hint(), "");
  }
}

TEST_F(KeyFileTest, RefusesWhatOthersMayUse) {
  for (const unsigned permissions : {0640u, 0604u, 0660u, 0610u, 0644u}) {
    const Status status = SealingKey::load(write(std::string(32, 'k'), permissions)).status();
    EXPECT_EQ(status.code(), Code::kFailedPrecondition) << permissions;
    EXPECT_EQ(status.kind(), "key.permissions");
    EXPECT_NE(status.hint().find("chmod 600"), std::string::npos);
  }
  EXPECT_TRUE(SealingKey::load(write(std::string(32, 'k'), 0400)).ok());
  EXPECT_EQ(SealingKey::load(folder_.path()).status().kind(), "key.permissions");
  EXPECT_EQ(SealingKey::load(folder_.file("absent")).status().code(), Code::kNotFound);
  ASSERT_EQ(::mkfifo(folder_.file("fifo").c_str(), 0600), 0);
  EXPECT_EQ(SealingKey::load(folder_.file("fifo")).status().kind(), "key.permissions");
}

}  // namespace
}  // namespace runink::crypto
