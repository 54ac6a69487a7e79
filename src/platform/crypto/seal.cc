#include "platform/crypto/seal.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>

#include "base/check.h"
#include "base/text.h"
#include "platform/crypto/digest.h"
#include "platform/crypto/random.h"
#include "platform/os/file.h"

namespace runink::crypto {

namespace {

constexpr std::string_view kKeyIdInfo = "runink key id";

template <typename Bytes>
std::string_view view(const Bytes& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

const unsigned char* unsigned_chars(const char* bytes) { return reinterpret_cast<const unsigned char*>(bytes); }
unsigned char* unsigned_chars(char* bytes) { return reinterpret_cast<unsigned char*>(bytes); }

const EVP_CIPHER* aes_256_gcm() {
  // Fetched once: EVP_aes_256_gcm() would be looked up again at each initialisation. Never freed, it is used until the
  // last thread ends.
  static const EVP_CIPHER* cipher = EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr);
  RUNINK_CHECK(cipher != nullptr);
  return cipher;
}

// Raised in the child of a fork, so that it does not hand out the nonces that its parent has in stock.
std::atomic<uint64_t> fork_count{0};

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool parse_key(std::string_view text, std::array<uint8_t, kKeyBytes>* key) {
  if (text.size() == kKeyBytes) {
    std::memcpy(key->data(), text.data(), kKeyBytes);
    return true;
  }
  if (text.size() == 2 * kKeyBytes + 1 && text.back() == '\n') text.remove_suffix(1);
  if (text.size() != 2 * kKeyBytes) return false;
  for (size_t i = 0; i < kKeyBytes; ++i) {
    const int high = hex_value(text[2 * i]), low = hex_value(text[2 * i + 1]);
    if (high < 0 || low < 0) return false;
    (*key)[i] = static_cast<uint8_t>(high << 4 | low);
  }
  return true;
}

Status check_key_file(const os::Fd& fd) {
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return from_errno(errno, fmt::format("look at key file {}", fd.path()));
  if (!S_ISREG(info.st_mode)) {
    return failed_precondition("key file {} is not a regular file", fd.path()).with_kind("key.permissions");
  }
  if ((info.st_mode & 077) != 0) {
    return failed_precondition("key file {} has mode {:04o}: group or others may use it", fd.path(),
                               info.st_mode & 07777)
        .with_kind("key.permissions")
        .with_hint(fmt::format("chmod 600 {}", fd.path()));
  }
  if (info.st_uid != ::geteuid() && info.st_uid != 0) {
    return failed_precondition("key file {} belongs to user {}, who is neither this user nor root", fd.path(),
                               info.st_uid)
        .with_kind("key.permissions");
  }
  return Status();
}

}  // namespace

// A few contexts for each thread, the one used longest ago given up first: setting a key into a context costs as much
// as sealing some hundred bytes, and a thread works on few files at a time.
class CipherContexts {
 public:
  CipherContexts() = default;
  ~CipherContexts() {
    for (Slot& slot : slots_) EVP_CIPHER_CTX_free(slot.context);  // wipes the key schedule
  }
  CipherContexts(const CipherContexts&) = delete;
  CipherContexts& operator=(const CipherContexts&) = delete;

  static CipherContexts& of_this_thread() {
    thread_local CipherContexts contexts;
    return contexts;
  }

  // A context with the key set, ready for its nonce.
  EVP_CIPHER_CTX* get(const SealingKey::Material& key, bool sealing) {
    Slot* oldest = &slots_[0];
    for (Slot& slot : slots_) {
      if (slot.serial == key.serial && slot.sealing == sealing) {
        slot.used = ++clock_;
        return slot.context;
      }
      if (slot.used < oldest->used) oldest = &slot;
    }
    if (oldest->context == nullptr) oldest->context = EVP_CIPHER_CTX_new();
    RUNINK_CHECK(oldest->context != nullptr);
    oldest->serial = 0;
    RUNINK_CHECK(
        EVP_CipherInit_ex2(oldest->context, aes_256_gcm(), key.bytes.data(), nullptr, sealing ? 1 : 0, nullptr) == 1);
    oldest->serial = key.serial;
    oldest->sealing = sealing;
    oldest->used = ++clock_;
    return oldest->context;
  }

 private:
  struct Slot {
    EVP_CIPHER_CTX* context = nullptr;
    uint64_t serial = 0;  // of the key it holds; 0: none
    bool sealing = false;
    uint64_t used = 0;
  };
  std::array<Slot, 6> slots_;
  uint64_t clock_ = 0;
};

namespace {

void seal_with(EVP_CIPHER_CTX* context, const unsigned char* nonce, std::string_view plain, std::string_view associated,
               char* out) {
  int written = 0;
  RUNINK_CHECK(EVP_EncryptInit_ex2(context, nullptr, nullptr, nonce, nullptr) == 1);
  if (!associated.empty()) {
    RUNINK_CHECK(EVP_EncryptUpdate(context, nullptr, &written, unsigned_chars(associated.data()),
                                   static_cast<int>(associated.size())) == 1);
  }
  if (!plain.empty()) {
    RUNINK_CHECK(EVP_EncryptUpdate(context, unsigned_chars(out), &written, unsigned_chars(plain.data()),
                                   static_cast<int>(plain.size())) == 1);
    RUNINK_CHECK(static_cast<size_t>(written) == plain.size());
  }
  RUNINK_CHECK(EVP_EncryptFinal_ex(context, unsigned_chars(out) + plain.size(), &written) == 1 && written == 0);
  RUNINK_CHECK(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, kTagBytes, out + plain.size()) == 1);
}

}  // namespace

std::array<uint8_t, kNonceBytes> random_nonce() {
  struct Stock {
    std::array<uint8_t, 341 * kNonceBytes> bytes;
    size_t next = sizeof bytes;
    uint64_t forks = 0;
  };
  thread_local Stock stock;
  static const int registered = ::pthread_atfork(nullptr, nullptr, [] { fork_count.fetch_add(1); });
  RUNINK_CHECK(registered == 0);
  const uint64_t forks = fork_count.load(std::memory_order_relaxed);
  if (stock.next == stock.bytes.size() || stock.forks != forks) {
    random_bytes(stock.bytes.data(), stock.bytes.size());
    stock.next = 0;
    stock.forks = forks;
  }
  std::array<uint8_t, kNonceBytes> nonce;
  std::memcpy(nonce.data(), stock.bytes.data() + stock.next, kNonceBytes);
  stock.next += kNonceBytes;
  return nonce;
}

std::string hkdf_sha256(std::string_view key, std::string_view salt, std::string_view info, size_t size) {
  RUNINK_CHECK(size <= 255 * sizeof(Digest256));
  Digest256 extracted = hmac_sha256(salt.empty() ? std::string_view("") : salt, key);
  HmacSha256 expand(view(extracted));
  std::string out, block;
  for (uint8_t i = 1; out.size() < size; ++i) {
    block.append(info);
    block.push_back(static_cast<char>(i));
    const Digest256 digest = expand.sign(block);
    block.assign(view(digest));
    out.append(block, 0, std::min(block.size(), size - out.size()));
  }
  OPENSSL_cleanse(extracted.data(), extracted.size());
  OPENSSL_cleanse(block.data(), block.size());
  return out;
}

std::string key_id_text(const KeyId& id) { return to_hex(view(id)); }

SealingKey::Material::~Material() { OPENSSL_cleanse(bytes.data(), bytes.size()); }

SealingKey SealingKey::make(const std::array<uint8_t, kKeyBytes>& bytes, const KeyId* id) {
  static std::atomic<uint64_t> serials{0};
  auto material = std::make_shared<Material>();
  material->bytes = bytes;
  material->serial = serials.fetch_add(1) + 1;
  if (id != nullptr) {
    material->id = *id;
  } else {
    const std::string name = hkdf_sha256(view(bytes), {}, kKeyIdInfo, sizeof(KeyId));
    std::memcpy(material->id.data(), name.data(), name.size());
  }
  return SealingKey(std::move(material));
}

SealingKey SealingKey::from_bytes(const std::array<uint8_t, kKeyBytes>& bytes) { return make(bytes, nullptr); }

SealingKey SealingKey::generate() {
  auto bytes = random_array<kKeyBytes>();
  SealingKey key = from_bytes(bytes);
  OPENSSL_cleanse(bytes.data(), bytes.size());
  return key;
}

Result<SealingKey> SealingKey::load(const std::string& path) {
  // Looked at before it is opened: opening a FIFO would wait for its other end.
  const os::FileInfo info = RUNINK_TRY_CONTEXT(os::file_info(path), "read the key file");
  if (!info.regular()) {
    return failed_precondition("key file {} is not a regular file", path).with_kind("key.permissions");
  }
  const os::Fd fd = RUNINK_TRY_CONTEXT(os::open_file(path), "read the key file");
  RUNINK_RETURN_IF_ERROR(check_key_file(fd));
  std::array<char, 2 * kKeyBytes + 2> text;
  const size_t size = RUNINK_TRY(os::read_full(fd, text.data(), text.size()));
  std::array<uint8_t, kKeyBytes> bytes;
  const bool good = parse_key(std::string_view(text.data(), size), &bytes);
  OPENSSL_cleanse(text.data(), text.size());
  if (!good) {
    return invalid_argument("key file {} is neither 32 bytes nor 64 hexadecimal digits ({}{} bytes)", path,
                            size == text.size() ? "at least " : "", size)
        .with_kind("key.format")
        .with_hint("make one with: (umask 077; openssl rand -hex 32 > FILE)");
  }
  SealingKey key = from_bytes(bytes);
  OPENSSL_cleanse(bytes.data(), bytes.size());
  return key;
}

SealingKey SealingKey::derive(std::string_view purpose, std::string_view salt) const {
  std::string derived =
      hkdf_sha256(view(material_->bytes), salt, fmt::format("runink sealing: {}", purpose), kKeyBytes);
  std::array<uint8_t, kKeyBytes> bytes;
  std::memcpy(bytes.data(), derived.data(), kKeyBytes);
  SealingKey key = make(bytes, &material_->id);
  OPENSSL_cleanse(bytes.data(), bytes.size());
  OPENSSL_cleanse(derived.data(), derived.size());
  return key;
}

void SealingKey::seal(std::string_view plain, std::string_view associated, char* out) const {
  RUNINK_CHECK(plain.size() <= kMostSealedBytes && associated.size() <= kMostSealedBytes);
  const auto nonce = random_nonce();
  std::memcpy(out, nonce.data(), kNonceBytes);
  seal_with(CipherContexts::of_this_thread().get(*material_, true), nonce.data(), plain, associated, out + kNonceBytes);
}

std::string SealingKey::seal(std::string_view plain, std::string_view associated) const {
  std::string out(plain.size() + kSealOverhead, '\0');
  seal(plain, associated, out.data());
  return out;
}

void SealingKey::seal_with_nonce_for_test(std::string_view nonce, std::string_view plain, std::string_view associated,
                                          char* out) const {
  RUNINK_CHECK(nonce.size() == kNonceBytes);
  seal_with(CipherContexts::of_this_thread().get(*material_, true), unsigned_chars(nonce.data()), plain, associated,
            out);
}

bool SealingKey::open(std::string_view sealed, std::string_view associated, char* out) const {
  if (sealed.size() < kSealOverhead || sealed.size() - kSealOverhead > kMostSealedBytes) return false;
  RUNINK_CHECK(associated.size() <= kMostSealedBytes);
  const std::string_view text = sealed.substr(kNonceBytes, sealed.size() - kSealOverhead);
  std::array<unsigned char, kTagBytes> tag;
  std::memcpy(tag.data(), text.data() + text.size(), kTagBytes);
  EVP_CIPHER_CTX* context = CipherContexts::of_this_thread().get(*material_, false);
  int written = 0;
  RUNINK_CHECK(EVP_DecryptInit_ex2(context, nullptr, nullptr, unsigned_chars(sealed.data()), nullptr) == 1);
  if (!associated.empty()) {
    RUNINK_CHECK(EVP_DecryptUpdate(context, nullptr, &written, unsigned_chars(associated.data()),
                                   static_cast<int>(associated.size())) == 1);
  }
  if (!text.empty()) {
    RUNINK_CHECK(EVP_DecryptUpdate(context, unsigned_chars(out), &written, unsigned_chars(text.data()),
                                   static_cast<int>(text.size())) == 1);
  }
  RUNINK_CHECK(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, kTagBytes, tag.data()) == 1);
  unsigned char nothing[16];
  if (EVP_DecryptFinal_ex(context, nothing, &written) == 1) return true;
  // What does not carry the right tag is not shown to anybody.
  std::memset(out, 0, text.size());
  return false;
}

Result<std::string> SealingKey::open(std::string_view sealed, std::string_view associated) const {
  if (sealed.size() < kSealOverhead) return data_loss("{} bytes are too few for a sealed piece", sealed.size());
  std::string out(sealed.size() - kSealOverhead, '\0');
  if (!open(sealed, associated, out.data())) {
    return data_loss("a sealed piece of {} bytes is damaged, or was sealed for another place or with another key",
                     sealed.size());
  }
  return out;
}

}  // namespace runink::crypto
