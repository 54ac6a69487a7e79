// Chunks over gRPC: PutChunk and GetChunk of the service KeyValue. A chunk is gathered in memory before it is put, and
// is read into memory before it is given, so there is a limit of how many of each are open; beyond it calls are refused
// ("barn.busy") before anything is read. What is cut, or is not what its hash says, is thrown away.
#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>

#include "control/api/calls.h"
#include "control/api/chunks.h"
#include "control/replica/replica.h"
#include "runink/barn/v1/key_value.pb.h"

namespace runink::api {

namespace v1 = runink::barn::v1;

inline constexpr size_t kChunkPieceBytes = 1 << 20;

class ChunkCalls {
 public:
  // `chunks`: nullptr where there are none (kUnimplemented). All outlive it.
  ChunkCalls(net::EventLoop& loop, barn::Replica& replica, Chunks* chunks, OpenCalls& calls, ChunkCallLimits limits)
      : loop_(loop), replica_(replica), chunks_(chunks), calls_(calls), limits_(limits) {}

  // On gRPC's threads. `refused`: why this caller may not call, or OK. The reactors end with the OpenCalls.
  grpc::ServerReadReactor<v1::PutChunkRequest>* put(grpc::CallbackServerContext* context, const Status& refused,
                                                    v1::PutChunkResponse* response);
  grpc::ServerWriteReactor<v1::GetChunkPiece>* get(grpc::CallbackServerContext* context, const Status& refused,
                                                   const v1::GetChunkRequest* request);

 private:
  template <typename Reactor>
  class Stream;
  class Upload;
  class Download;

  net::EventLoop& loop_;
  barn::Replica& replica_;
  Chunks* const chunks_;
  OpenCalls& calls_;
  const ChunkCallLimits limits_;
  size_t puts_ = 0, gets_ = 0;  // the loop's
};

}  // namespace runink::api
