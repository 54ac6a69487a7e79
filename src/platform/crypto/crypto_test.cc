#include <gtest/gtest.h>

#include <set>

#include "base/text.h"
#include "platform/crypto/base64.h"
#include "platform/crypto/digest.h"
#include "platform/crypto/random.h"

namespace runink::crypto {
namespace {

// FIPS 180-4 examples.
TEST(Sha256Test, KnownAnswers) {
  EXPECT_EQ(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256_hex(std::string(1'000'000, 'a')), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256Test, StreamsInPiecesAndIsReadyForTheNext) {
  Sha256 hash;
  hash.update("a");
  hash.update("");
  hash.update("bc");
  EXPECT_EQ(hex(hash.finish()), sha256_hex("abc"));
  hash.update("thrown away");
  hash.reset();
  hash.update("abc");
  Sha256 moved = std::move(hash);
  EXPECT_EQ(hex(moved.finish()), sha256_hex("abc"));
}

// RFC 4231, test cases 1, 2 and 6 (a key longer than a block).
TEST(HmacTest, KnownAnswers) {
  EXPECT_EQ(hex(hmac_sha256(std::string(20, '\x0b'), "Hi There")),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  EXPECT_EQ(hex(hmac_sha256("Jefe", "what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(hex(hmac_sha256(std::string(131, '\xaa'), "Test Using Larger Than Block-Size Key - Hash Key First")),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
  HmacSha256 many("Jefe");
  (void)many.sign("another message");
  EXPECT_EQ(many.sign("what do ya want for nothing?"), hmac_sha256("Jefe", "what do ya want for nothing?"));
}

TEST(CompareTest, EqualConstantTime) {
  EXPECT_TRUE(equal_constant_time("", ""));
  EXPECT_TRUE(equal_constant_time("secret", "secret"));
  EXPECT_FALSE(equal_constant_time("secret", "secreT"));
  EXPECT_FALSE(equal_constant_time("secret", "secre"));
}

// RFC 4648, section 10.
TEST(Base64Test, RoundTripsAndIsCanonical) {
  EXPECT_EQ(base64(""), "");
  EXPECT_EQ(base64("f"), "Zg==");
  EXPECT_EQ(base64("fo"), "Zm8=");
  EXPECT_EQ(base64("foobar"), "Zm9vYmFy");
  std::string bytes, back;
  for (int i = 0; i < 256; ++i) {
    bytes += static_cast<char>(i);
    ASSERT_TRUE(decode_base64(base64(bytes), &back));
    ASSERT_EQ(back, bytes);
  }
  for (const char* wrong : {"Z", "Zg=", "Zg", "Zh==", "Zm9=", "Z===", "====", "Zg==Zg==", "Zm 9", "Zm9v\n"}) {
    EXPECT_FALSE(decode_base64(wrong, &back)) << wrong;
  }
}

TEST(RandomTest, DoesNotRepeat) {
  std::set<uint64_t> seen;
  for (int i = 0; i < 1000; ++i) seen.insert(random_u64());
  EXPECT_EQ(seen.size(), 1000u);
  EXPECT_EQ(random_hex(5).size(), 10u);
}

}  // namespace
}  // namespace runink::crypto
