// Functions that make a value safe to show: mask, hash, tokenise. sha256 is a plain digest and protects nothing that
// can be guessed, so it does not remove the mark of pii.
#include "data/expr/functions.h"
#include "data/expr/kernel.h"
#include "data/expr/mask.h"
#include "platform/crypto/digest.h"

namespace runink::expr {

namespace {

void mask(const Node& node, const Arg* args, Frame& frame, Column* out) {
  const auto& method = *static_cast<const MaskMethod*>(node.state.get());
  const Texts v(args[0]);
  map_text(node, args, 1, frame, out, [&](int64_t i, std::string& scratch, std::string_view* view) -> const char* {
    method.apply(v[i], scratch);
    *view = scratch;
    return nullptr;
  });
}

void hash(const Node& node, const Arg* args, Frame& frame, Column* out) {
  const Texts v(args[0]);
  crypto::HmacSha256 hmac(frame.context->key);
  map_text(node, args, 1, frame, out, [&](int64_t i, std::string& scratch, std::string_view* view) -> const char* {
    scratch = crypto::hex(hmac.sign(v[i]));
    *view = scratch;
    return nullptr;
  });
}

void tokenise(const Node& node, const Arg* args, Frame& frame, Column* out) {
  const Texts v(args[0]);
  map_text(node, args, 1, frame, out, [&](int64_t i, std::string& scratch, std::string_view* view) -> const char* {
    scratch = keyed_token(frame.context->key, v[i]);
    *view = scratch;
    return nullptr;
  });
}

void sha256(const Node& node, const Arg* args, Frame& frame, Column* out) {
  const Texts v(args[0]);
  map_text(node, args, 1, frame, out, [&](int64_t i, std::string& scratch, std::string_view* view) -> const char* {
    scratch = crypto::sha256_hex(v[i]);
    *view = scratch;
    return nullptr;
  });
}

// Any value by its text.
bool as_text(Binding& binding) {
  NodePtr& arg = binding.args[0];
  if (arg->type.id() == TypeId::kBytes || arg->type.is_text()) return true;
  std::string error, help;
  NodePtr text = make_cast(arg, TypeId::kString, false, &error, &help);
  if (!text) return binding.fail(error, help, 0);
  arg = std::move(text);
  return true;
}

bool prepare_mask_all(Binding& binding) {
  if (!as_text(binding)) return false;
  binding.state = std::make_shared<MaskMethod>(*MaskMethod::parse("all"));
  return true;
}

bool prepare_mask(Binding& binding) {
  const auto name = constant_text(binding, 1, "a mask method");
  if (!name) return false;
  Result<MaskMethod> method = MaskMethod::parse(*name);
  if (!method.ok()) return binding.fail(method.status().message(), method.status().hint(), 1);
  if (binding.args[0]->type.id() == TypeId::kBytes)
    return binding.fail("bytes have no characters to show some of", "write mask(x)", 0);
  if (!as_text(binding)) return false;
  binding.state = std::make_shared<MaskMethod>(*method);
  binding.args.resize(1);
  return true;
}

}  // namespace

void define_secret_functions(std::vector<Definition>& out) {
  const char* kGroup = "protection";
  out.push_back({"mask",
                 kGroup,
                 "The value masked: wholly, or by a method (\"last4\", \"first2\", \"email\", \"length\").",
                 "mask(passport, \"last4\")",
                 {{"mask(value: any) -> string", mask, kHides, prepare_mask_all},
                  {"mask(value: any, method: string) -> string", mask, kHides | kCanFail, prepare_mask}}});
  out.push_back({"hash",
                 kGroup,
                 "64 hexadecimal digits, equal for equal values, keyed with the project's secret (HMAC-SHA-256).",
                 "hash(passport)",
                 {{"hash(value: any) -> string", hash, kHides | kUsesKey | kCanFail, as_text}}});
  out.push_back({"tokenise",
                 kGroup,
                 "A short token, equal for equal values, keyed with the project's secret.",
                 "tokenise(email)",
                 {{"tokenise(value: any) -> string", tokenise, kHides | kUsesKey | kCanFail, as_text}}});
  out.push_back(
      {"sha256",
       kGroup,
       "64 hexadecimal digits of the plain digest. It can be undone by guessing: protect people with hash().",
       "sha256(document)",
       {{"sha256(text: string) -> string", sha256, kCanFail}, {"sha256(data: bytes) -> string", sha256, kCanFail}}});
}

}  // namespace runink::expr
