// Arrow sources for the engine: batches that are made already, with the records that could not be decoded.
#pragma once

#include <memory>
#include <vector>

#include "base/stop.h"
#include "data/connectors/arrow_source.h"
#include "data/engine/io.h"

namespace runink::local {

// What a reader found in one chunk, in the engine's words: with the contract's names of rules ("delay.type", "record";
// `contract` may be null), values of pii fields left out. `arrow`: the undecodable records of a piece, else null.
// `again`: the undecodable records read once more, kBatchRows in each; else null.
engine::ReadReport read_report(connectors::ChunkReport parsed, const columnar::InputChunk& chunk,
                               const columnar::Schema& schema, const plan::Operator& op,
                               const contract::ContractPtr& contract,
                               std::vector<connectors::ArrowPiece::Undecodable>* arrow = nullptr,
                               std::vector<connectors::Reread>* again = nullptr);

// `op` outlives the source.
Result<std::unique_ptr<engine::BatchSource>> open_arrow_batches(const connectors::Locator& locator,
                                                                const connectors::ReaderOptions& options,
                                                                const std::shared_ptr<connectors::SourceFiles>& files,
                                                                const StopFlag* stop, const plan::Operator& op,
                                                                contract::ContractPtr contract);

}  // namespace runink::local
