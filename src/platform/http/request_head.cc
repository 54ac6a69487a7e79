#include "platform/http/request_head.h"

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>

namespace runink::http {

namespace beast = boost::beast::http;

struct RequestHead::Parser {
  beast::request_parser<beast::empty_body> request;
};

RequestHead::RequestHead(size_t max_bytes) : parser_(std::make_unique<Parser>()) {
  parser_->request.header_limit(static_cast<uint32_t>(max_bytes));
}

RequestHead::~RequestHead() = default;

size_t RequestHead::feed(std::string_view bytes) {
  if (done_ || refusal_ != 0 || bytes.empty()) return 0;
  boost::system::error_code error;
  const size_t taken = parser_->request.put(boost::asio::buffer(bytes.data(), bytes.size()), error);
  if (error && error != beast::error::need_more) {
    // A body that was announced is found at the end of the head; what else is wrong with the request is of no interest
    // then.
    const bool large = error == beast::error::header_limit || error == beast::error::buffer_overflow;
    const bool version = error == beast::error::bad_version;
    refusal_ = large ? 431 : error == beast::error::unexpected_body ? 413 : version ? 505 : 400;
    return taken;
  }
  if (!parser_->request.is_header_done()) return taken;
  done_ = true;
  refusal_ = judge();
  return taken;
}

int RequestHead::judge() {
  const auto& request = parser_->request.get();
  old_version_ = request.version() == 10;
  if (request.version() != 10 && request.version() != 11) return 505;
  keep_alive_ = request.keep_alive();
  // Two of them, or none where there must be one: RFC 9112, 3.2.
  const auto hosts = request.count(beast::field::host);
  if (hosts > 1 || (hosts == 0 && !old_version_)) return 400;
  if (request.count(beast::field::transfer_encoding) > 0 || parser_->request.content_length().value_or(0) > 0)
    return 413;
  if (request.method() != beast::verb::get && request.method() != beast::verb::head) return 405;
  head_only_ = request.method() == beast::verb::head;
  const std::string_view target(request.target().data(), request.target().size());
  if (target.empty() || target[0] != '/') return 400;
  path_ = target.substr(0, target.find('?'));
  return 0;
}

}  // namespace runink::http
