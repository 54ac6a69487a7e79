// A slice's specification, field by field, for the wire (codec.h).
#pragma once

#include "model/herd_limits.h"
#include "model/slice_spec.h"
#include "worker/wire/codec.h"

namespace runink::model {

constexpr SliceProtocol last_of(SliceProtocol) { return SliceProtocol::kUdp; }

template <typename Archive>
void visit(Archive& archive, SliceMount& mount) {
  auto& [source, target, writable] = mount;
  archive(source, target, writable);
}

template <typename Archive>
void visit(Archive& archive, SliceSecret& secret) {
  auto& [name, bytes] = secret;
  archive(name, bytes);
}

template <typename Archive>
void visit(Archive& archive, SliceIoLimit& limit) {
  auto& [device, read_bytes, write_bytes, read_operations, write_operations] = limit;
  archive(device, read_bytes, write_bytes, read_operations, write_operations);
}

template <typename Archive>
void visit(Archive& archive, SliceResources& resources) {
  auto& [cpus, weight, memory, high, swap, processes, cpu_set, nodes, io] = resources;
  archive(cpus, weight, memory, high, swap, processes, cpu_set, nodes, io);
}

template <typename Archive>
void visit(Archive& archive, HerdLimit& limit) {
  auto& [herd, resources] = limit;
  archive(herd, resources);
}

template <typename Archive>
void visit(Archive& archive, SliceDevice& device) {
  auto& [path, writable] = device;
  archive(path, writable);
}

template <typename Archive>
void visit(Archive& archive, SliceGpus& gpus) {
  auto& [count, numbers] = gpus;
  archive(count, numbers);
}

template <typename Archive>
void visit(Archive& archive, SliceEndpoint& endpoint) {
  auto& [host, port, protocol, addresses] = endpoint;
  archive(host, port, protocol, addresses);
}

template <typename Archive>
void visit(Archive& archive, SliceNetwork& network) {
  auto& [endpoints, rate] = network;
  archive(endpoints, rate);
}

template <typename Archive>
void visit(Archive& archive, SliceIdentity& identity) {
  auto& [user, group] = identity;
  archive(user, group);
}

template <typename Archive>
void visit(Archive& archive, SliceTerminal& terminal) {
  auto& [rows, columns] = terminal;
  archive(rows, columns);
}

template <typename Archive>
void visit(Archive& archive, SliceSpec& spec) {
  auto& [herd, argv, environment, folder, host_name, mounts, secrets, resources, devices, gpus, network, user, group,
         act_as, terminal, time_limit, grace, scratch, scratch_folder] = spec;
  archive(herd, argv, environment, folder, host_name, mounts, secrets, resources, devices, gpus, network, user, group,
          act_as, terminal, time_limit, grace, scratch, scratch_folder);
}

}  // namespace runink::model
