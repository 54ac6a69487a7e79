#include "isolate/stage.h"

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "base/text.h"
#include "client/local/version.h"
#include "data/connectors/error_tail.h"
#include "isolate/slice_specs.h"
#include "platform/os/file.h"
#include "platform/os/temp.h"

namespace runink::isolate {

using slice::Ask;
using slice::StageAnswer;
using slice::StageMessage;

namespace {

constexpr const char* kKindProtocol = "slice.protocol";
constexpr size_t kMostSampleBytes = size_t{1} << 30;

Status untrue(const std::string& what) {
  return data_loss("a stage's slice says what cannot be: {}", what).with_kind(kKindProtocol);
}

std::string name_of(const std::vector<plan::Part>& parts, size_t number) {
  return parts.size() == 1 ? std::string("its slice")
                           : fmt::format("the slice of stage {} of {}", number + 1, parts.size());
}

}  // namespace

Stage::Stage(Scene& scene, const std::vector<plan::Part>& parts, size_t number)
    : scene_(scene),
      part_(parts[number]),
      number_(number),
      alone_(parts.size() == 1),
      name_(name_of(parts, number)),
      letters_(
          {.source = [this](uint32_t index, std::string_view name) -> Status {
             // Numbered anew here; sources are read by the first part alone.
             if (number_ != 0 || scene_.work.io.files()->add(std::string(name)) != index)
               return untrue("a source file");
             ++sources_;
             return {};
           },
           .letter = [this](uint32_t op, const engine::RejectedRecord& record) { return take_letter(op, record); }}),
      kept_letters_(scene.work.temp_folder) {}

Stage::~Stage() {
  // What the threads of relays and of last words wait for ends with the slices.
  channel_.close();
}

// ---- its slice ------------------------------------------------------------------------------------------------------

Status Stage::start(const slice::StageStart& work, const std::vector<int>& descriptors, std::string plan_digest) {
  plan_digest_ = std::move(plan_digest);
  const model::SliceSpec spec = RUNINK_TRY(stage_spec(part_, scene_.runi_slice));
  auto [ours, theirs] = RUNINK_TRY(wire::Channel::make_pair());
  os::Pipe errors = RUNINK_TRY(os::make_pipe("standard error of " + name_));
  const os::Fd control = theirs.release();
  slice_ = RUNINK_TRY_CONTEXT(scene_.host.start(spec, {.error = errors.write.get(), .more = {control.get()}}),
                              "start " + name_);
  words_ = std::make_unique<local::LastWords>(std::move(errors.read));
  channel_ = std::move(ours);
  RUNINK_RETURN_IF_ERROR(channel_.send(static_cast<uint16_t>(StageMessage::kStart), 0, encode(work), descriptors));
  answer_unasked();
  return channel_.send(static_cast<uint16_t>(StageMessage::kAnswersSent), 0, {});
}

void Stage::go() { (void)channel_.send(static_cast<uint16_t>(StageMessage::kGo), 0, {}); }
void Stage::ask_to_stop() {
  if (channel_.valid()) (void)channel_.send(static_cast<uint16_t>(StageMessage::kStop), 0, {});
}

void Stage::kill() {
  for (auto& [number, step] : steps_) scene_.host.kill(step.slice);
  scene_.host.kill(slice_);
}

// The first failure is what there is to tell; its slice ends for it.
void Stage::fail(Status status) {
  if (end_.status.ok()) end_.status = std::move(status);
  reported_ = true;
  channel_.close();
  kill();
}

bool Stage::take_end(SliceHost::Ended& ended) {
  if (ended.slice == slice_) {
    take_messages();  // its last words came before
    over_ = true;
    for (auto& [number, step] : steps_) scene_.host.kill(step.slice);
    if (!reported_) end_.status = ended_badly(ended.end);
    channel_.close();
    return true;
  }
  for (auto& [number, step] : steps_) {
    if (step.slice != ended.slice) continue;
    slice::StepEnd end;
    if (ended.end.ok()) end = {.exited = ended.end->exited, .code = ended.end->code, .signal = ended.end->signal};
    step.end = std::move(ended.end);
    if (channel_.valid()) (void)channel_.send(static_cast<uint16_t>(StageMessage::kStepEnded), number, encode(end));
    return true;
  }
  return false;
}

Status Stage::ended_badly(const Result<sandbox::SliceEnd>& end) {
  if (!end.ok()) return std::move(Status(end.status())).with_context(name_);
  const std::string words = words_ ? words_->take() : "";
  Status status;
  const bool out_of_memory = std::any_of(end->limits_hit.begin(), end->limits_hit.end(), [](const auto& sentence) {
    return sentence.find("memory") != std::string::npos;
  });
  if (out_of_memory) {
    status = resource_exhausted("{} ran out of memory and was ended", name_)
                 .with_kind("slice.memory")
                 .with_hint("@requires(memory=\"…\") says how much it may have");
  } else if (end->exited) {
    status = aborted("{} ended with exit code {} before its work was done", name_, end->code).with_kind("slice.ended");
  } else {
    status =
        aborted("{} was ended by signal {} before its work was done", name_, end->signal)
            .with_kind("slice.ended")
            .with_hint(end->signal == SIGKILL ? "did this machine run out of memory? dmesg tells what it killed" : "");
  }
  for (const std::string& sentence : end->limits_hit) status = std::move(status).with_detail("limit: " + sentence);
  // What it says is that of the engine; rows of data are not in it.
  return connectors::with_last_words(std::move(status), words, "stderr: ", {});
}

// ---- what it says ---------------------------------------------------------------------------------------------------

void Stage::take_messages() {
  while (channel_.valid()) {
    auto message = channel_.receive();
    if (!message.ok()) {
      // That it has gone is told by its slice's end.
      if (message.status().code() != Code::kUnavailable) fail(std::move(message).status().with_context(name_));
      return;
    }
    if (!message->has_value()) break;
    take(std::move(**message));
  }
  if (!channel_.valid()) return;
  if (Status flushed = channel_.flush(); !flushed.ok() && flushed.code() != Code::kUnavailable)
    fail(std::move(flushed));
}

void Stage::take(wire::Message message) {
  if (reported_) return fail(untrue("something after its report"));
  Status status;
  switch (static_cast<StageMessage>(message.type)) {
    case StageMessage::kReady: {
      auto ready = slice::decode_ready(message.body);
      status = ready.status();
      if (ready.ok() && (ready->protocol != slice::kStageProtocol || ready->version != local::kVersion)) {
        status = failed_precondition("{} is of version {}, and runi of {}", scene_.runi_slice,
                                     escape_control(ready->version), local::kVersion)
                     .with_hint("install both from one package");
      }
      break;
    }
    case StageMessage::kBegun:
      begun_ = true;
      break;
    case StageMessage::kAsk:
      status = take_question(message);
      break;
    case StageMessage::kLetters:
      status = take_letters(message.body);
      break;
    case StageMessage::kProgress: {
      auto progress = slice::decode_progress(message.body);
      if (progress.ok()) progress_ = *progress;
      status = progress.status();
      break;
    }
    case StageMessage::kSamples:
      status = take_samples(message.body);
      break;
    case StageMessage::kEnded:
      return end_of_work(std::move(message));
    default:
      status = untrue(fmt::format("a message of type {}", message.type));
  }
  if (!status.ok()) fail(std::move(status).with_context(name_));
}

void Stage::end_of_work(wire::Message message) {
  auto end = slice::decode_end(message.body);
  if (!end.ok()) return fail(std::move(end).status().with_context(name_));
  end_ = std::move(*end);
  reported_ = true;
  for (auto& op : end_.report.operators) {
    const auto found = samples_.find(op.id);
    if (found != samples_.end()) op.sample = std::move(found->second);
  }
  if (end_.status.ok()) end_.status = check_complete().with_context(name_);
  scene_.host.kill(slice_);  // it has nothing more to do
}

// A stage that says that all went well has ended all that it had to write.
Status Stage::check_complete() const {
  if (!letters_.between_letters()) return untrue("half a dead letter");
  if (end_.plan_digest != plan_digest_) {
    return internal_error("the plan of scenario \"{}\" was another one in its slice", part_.scenario.name)
        .with_kind("slice.plan")
        .with_hint("this is a defect of Runink; please report it with the feature and its contracts");
  }
  for (const plan::OperatorId id : part_.operators) {
    const plan::Operator& op = part_.scenario.operators[id];
    const auto* sink = std::get_if<plan::Sink>(&op.parameters);
    const auto opened = sinks_.find(id);
    if (sink != nullptr && !sink->rejected && (opened == sinks_.end() || !opened->second.ended)) {
      return untrue(fmt::format("that all is written, and nothing of \"{}\"", op.name));
    }
    const auto* output = std::get_if<plan::Output>(&op.parameters);
    if (output != nullptr && output->spool && !scene_.outputs.contains(output->name)) {
      return untrue(fmt::format("that all is written, and nothing of \"{}\"", op.name));
    }
  }
  return {};
}

Status Stage::take_letters(std::string_view piece) { return letters_.add(piece); }

Status Stage::take_letter(uint32_t op, engine::RejectedRecord record) {
  const auto& operators = part_.scenario.operators;
  if (!std::binary_search(part_.operators.begin(), part_.operators.end(), op))
    return untrue("a dead letter of no step of its own");
  if (number_ > 0) return kept_letters_.add(op, record);
  record.step = operators[op].name;
  return scene_.work.letters.write(record).with_context("write dead letters");
}

Status Stage::write_letters() {
  return kept_letters_.drain([this](uint32_t op, const engine::RejectedRecord& letter) {
    engine::RejectedRecord record = letter;
    record.step = part_.scenario.operators[op].name;
    return scene_.work.letters.write(record).with_context("write dead letters");
  });
}

Status Stage::take_samples(std::string_view body) {
  auto samples = RUNINK_TRY(slice::decode_samples(body));
  auto& kept = samples_[samples.op];
  if (samples.op >= part_.scenario.operators.size() || body.size() + kept.size() > kMostSampleBytes)
    return untrue("samples of no step");
  for (auto& row : samples.rows) kept.push_back(std::move(row));
  return {};
}

// What a pipe has taken stays taken, however the stage ended.
engine::ExecutionReport Stage::take_report() {
  for (const auto& [op, sink] : sinks_) {
    if (sink.relay) scene_.work.io.count_sink_bytes(op, sink.relay->bytes_written());
  }
  return std::move(end_.report);
}

// ---- what it asks ---------------------------------------------------------------------------------------------------

// What the stage will ask as soon as it has its plan. A sink is opened only where all sources of the scenario are, so
// that nothing is made for a run that cannot begin; one that is no file waits for being asked, since to open it may
// start a program.
void Stage::answer_unasked() {
  const auto each = [this](const auto& open) {
    for (const plan::OperatorId id : part_.operators) open(part_.scenario.operators[id]);
  };
  bool all_open = alone_;
  each([&](const plan::Operator& op) {
    if (!std::holds_alternative<plan::Source>(op.parameters)) return;
    const uint64_t number = slice::number_unasked(Ask::kOpenInputs, op.id);
    Status failed = open_inputs(number, op);
    all_open = all_open && failed.ok() && inputs_[op.id].next > 0;
    if (!failed.ok()) answer(number, {.status = std::move(failed)});
  });
  if (!all_open) return;
  each([this](const plan::Operator& op) {
    const auto* sink = std::get_if<plan::Sink>(&op.parameters);
    if (sink == nullptr || sink->rejected || !scene_.work.io.is_plain_target(op)) return;
    const uint64_t number = slice::number_unasked(Ask::kOpenSink, op.id);
    if (Status failed = open_sink(number, op); !failed.ok()) answer(number, {.status = std::move(failed)});
  });
}

void Stage::answer(uint64_t question, StageAnswer answer, const std::vector<int>& descriptors) {
  Status sent = channel_.send(static_cast<uint16_t>(StageMessage::kAnswer), question, encode(answer), descriptors);
  if (!sent.ok() && sent.code() != Code::kUnavailable) fail(std::move(sent));
}

void Stage::answer_deferred() {
  for (size_t i = 0; i < deferred_.size();) {
    auto answered = deferred_[i].look();
    if (!answered) {
      ++i;
      continue;
    }
    const uint64_t question = deferred_[i].question;
    deferred_.erase(deferred_.begin() + static_cast<std::ptrdiff_t>(i));
    if (channel_.valid()) answer(question, std::move(*answered));
  }
}

template <typename T>
Result<const plan::Operator*> Stage::own(uint32_t id) const {
  const auto& operators = part_.scenario.operators;
  const bool here = id < operators.size() && std::binary_search(part_.operators.begin(), part_.operators.end(), id);
  if (!here || !std::holds_alternative<T>(operators[id].parameters))
    return untrue(fmt::format("a question about operator {}", id));
  return &operators[id];
}

// An error of what it asked for is its answer; one of the question itself ends it.
Status Stage::take_question(const wire::Message& message) {
  const slice::StageAsk ask = RUNINK_TRY(slice::decode_ask(message.body));
  const uint64_t question = message.subject;
  Status refused;
  switch (ask.what) {
    case Ask::kOpenInputs:
      refused = open_inputs(question, *RUNINK_TRY(own<plan::Source>(ask.op)));
      break;
    case Ask::kOpenInput:
      refused = open_input(question, *RUNINK_TRY(own<plan::Source>(ask.op)), ask.number);
      break;
    case Ask::kEndInput:
      refused = end_input(question, *RUNINK_TRY(own<plan::Source>(ask.op)), ask.number);
      break;
    case Ask::kOpenRows: {
      auto rows = scene_.work.io.open_rows(*RUNINK_TRY(own<plan::ScenarioInput>(ask.op)));
      if (rows.ok()) answer(question, {}, {rows->get()});
      refused = rows.status();
      break;
    }
    case Ask::kSourceFailed: {
      const plan::Operator& op = *RUNINK_TRY(own<plan::Source>(ask.op));
      if (ask.failure.ok()) return untrue("a failure that is none");
      refused = scene_.work.io.source_failed(op, ask.failure);
      break;
    }
    case Ask::kOpenSink:
      refused = open_sink(question, *RUNINK_TRY(own<plan::Sink>(ask.op)));
      break;
    case Ask::kEndSink:
      refused = end_sink(question, *RUNINK_TRY(own<plan::Sink>(ask.op)), ask);
      break;
    case Ask::kOpenOutput:
      refused = open_output(question, *RUNINK_TRY(own<plan::Output>(ask.op)));
      break;
    case Ask::kOpenSpill: {
      auto file = os::SpillFile::create(scene_.work.temp_folder);
      if (file.ok()) answer(question, {}, {file->fd().get()});
      refused = file.status();
      break;
    }
    case Ask::kStartStep:
      refused = start_step(question, *RUNINK_TRY(own<plan::Program>(ask.op)));
      break;
    case Ask::kKillStep:
    case Ask::kEndStep:
    case Ask::kStepWords:
      return about_step(question, ask);
  }
  if (refused.kind() == kKindProtocol) return refused;
  if (!refused.ok()) answer(question, {.status = std::move(refused)});
  return {};
}

Status Stage::open_inputs(uint64_t question, const plan::Operator& op) {
  if (inputs_.contains(op.id)) return untrue("a source is opened twice");
  const auto& source = std::get<plan::Source>(op.parameters);
  Input input;
  auto locator = scene_.work.io.locator_of(op, source);
  if (!locator.ok()) return std::move(locator).status();
  input.locator = std::move(*locator);
  StageAnswer out;
  os::Fd first;
  if (input.locator.kind == connectors::LocatorKind::kPath) {
    auto names = connectors::expand(input.locator);
    if (!names.ok()) return std::move(names).status();
    input.names = std::move(*names);
    bool known = true;
    for (const std::string& name : input.names) {
      const auto info = os::file_info(name);
      known = known && info.ok() && info->regular();
      out.size += known ? info->size : 0;
    }
    if (!known) out.size = 0;
    // The first record should not wait for another question. What cannot be opened is said when that is asked for.
    if (auto opened = known && !input.names.empty() ? connectors::open_input_file(input.names[0])
                                                    : Result<os::Fd>(not_found("")); opened.ok()) {
      first = std::move(*opened);
      input.next = 1;
    }
  } else {
    input.names = {input.locator.kind == connectors::LocatorKind::kStandard ? "-" : input.locator.text};
  }
  out.names = input.names;
  inputs_.emplace(op.id, std::move(input));
  answer(question, std::move(out), first.valid() ? std::vector<int>{first.get()} : std::vector<int>());
  return {};
}

Status Stage::open_input(uint64_t question, const plan::Operator& op, uint64_t number) {
  const auto found = inputs_.find(op.id);
  if (found == inputs_.end() || number != found->second.next || number >= found->second.names.size())
    return untrue("an input out of turn");
  Input& input = found->second;
  ++input.next;
  StageAnswer out;
  out.names = {input.names[number]};
  std::unique_ptr<connectors::RawInput> raw;
  if (input.locator.kind == connectors::LocatorKind::kPath) {
    auto fd = connectors::open_input_file(input.names[number]);
    if (!fd.ok()) return std::move(fd).status();
    answer(question, std::move(out), {fd->get()});
    return {};
  }
  if (input.locator.kind == connectors::LocatorKind::kStandard) {
    out.names = {"standard input"};
    struct stat info = {};
    if (::fstat(STDIN_FILENO, &info) != 0) return from_errno(errno, "read standard input");
    // A terminal does not enter a slice, nor does another device.
    if (S_ISREG(info.st_mode) || S_ISFIFO(info.st_mode) || S_ISSOCK(info.st_mode)) {
      answer(question, std::move(out), {STDIN_FILENO});
      return {};
    }
    os::Fd copy(::dup(STDIN_FILENO), "standard input");
    if (!copy.valid()) return from_errno(errno, "read standard input");
    auto opened = connectors::open_raw_descriptor(std::move(copy), "standard input", &scene_.stop);
    if (!opened.ok()) return std::move(opened).status();
    raw = std::move(*opened);
  } else {
    auto opened = connectors::open_raw_program(input.locator.command, input.locator.working_directory, &scene_.stop,
                                               input.locator.words);
    if (!opened.ok()) return std::move(opened).status();
    raw = std::move(*opened);
    out.names = {raw->name()};
  }
  auto relay = InputRelay::start(std::move(raw), scene_.stop);
  if (!relay.ok()) return std::move(relay).status();
  const os::Fd end = (*relay)->take_stage_end();
  input.relays[number] = std::move(*relay);
  out.number = 1;
  answer(question, std::move(out), {end.get()});
  return {};
}

Status Stage::end_input(uint64_t question, const plan::Operator& op, uint64_t number) {
  const auto found = inputs_.find(op.id);
  if (found == inputs_.end() || !found->second.relays.contains(number)) return untrue("an input that was not opened");
  InputRelay* relay = found->second.relays[number].get();
  deferred_.push_back({question, [relay]() -> std::optional<StageAnswer> {
                         if (!relay->done()) return std::nullopt;
                         return StageAnswer{.status = relay->finish()};
                       }});
  return {};
}

Status Stage::open_sink(uint64_t question, const plan::Operator& op) {
  if (sinks_.contains(op.id)) return untrue("a sink is opened twice");
  if (std::get<plan::Sink>(op.parameters).rejected) return untrue("a sink for dead letters");
  const auto& input = part_.scenario.operators[op.inputs[0].from].schema;
  local::OpenedSink opened = RUNINK_TRY(scene_.work.io.open_target(op, input));
  StageAnswer out;
  out.atomic = opened.output->atomic();
  out.names = {out.atomic ? opened.output->atomic_file()->fd().path() : opened.output->name()};
  for (std::string& name : opened.open_names) out.names.push_back(std::move(name));
  out.has_records = opened.present.has_records;
  out.before = std::move(opened.present.before);
  out.crlf = opened.present.crlf;
  Sink& sink = sinks_[op.id];
  if (out.atomic) {
    sink.file = std::move(opened.output);
    answer(question, std::move(out), {sink.file->atomic_file()->fd().get()});
    return {};
  }
  sink.relay = RUNINK_TRY(OutputRelay::start(std::move(opened.output), scene_.stop));
  const os::Fd end = sink.relay->take_stage_end();
  answer(question, std::move(out), {end.get()});
  return {};
}

Status Stage::end_sink(uint64_t question, const plan::Operator& op, const slice::StageAsk& ask) {
  const auto found = sinks_.find(op.id);
  if (found == sinks_.end()) return untrue("a sink that was not opened");
  if (found->second.file) {
    os::AtomicFile& file = *found->second.file->atomic_file();
    const os::FileInfo info = RUNINK_TRY(os::file_info(file.fd()));
    if (info.size != ask.number) {
      return untrue(fmt::format("{} bytes of {}, which has {}", ask.number, file.target(), info.size));
    }
    found->second.ended = true;
    file.count_written(ask.number - file.bytes_written());
    scene_.work.io.count_sink_bytes(op.id, ask.number);
    answer(question, {});
    return {};
  }
  OutputRelay* relay = found->second.relay.get();
  found->second.ended = true;
  deferred_.push_back({question, [this, relay, id = op.id]() -> std::optional<StageAnswer> {
                         if (!relay->done()) return std::nullopt;
                         Status status = relay->finish();
                         scene_.work.io.count_sink_bytes(id, relay->bytes_written());
                         return StageAnswer{.status = std::move(status)};
                       }});
  return {};
}

Status Stage::open_output(uint64_t question, const plan::Operator& op) {
  const auto& output = std::get<plan::Output>(op.parameters);
  if (!output.spool || part_.hands_on == op.id) return untrue("rows for nobody");
  const std::string path = fmt::format("{}/output-{}.rows", scene_.work.temp_folder, op.id);
  const os::Fd file = RUNINK_TRY(os::open_file(path, os::OpenMode::kTruncate, 0600));
  scene_.outputs[output.name] = path;
  answer(question, {}, {file.get()});
  return {};
}

// ---- its steps ------------------------------------------------------------------------------------------------------

Status Stage::start_step(uint64_t question, const plan::Operator& op) {
  const local::StepOptions options = scene_.work.io.step_options(op);
  const local::StepCommand command = RUNINK_TRY(local::step_command(op, options));
  const model::SliceSpec spec = RUNINK_TRY(step_spec(op, command, scene_.work.project_root, scene_.runi_slice));
  os::Pipe in = RUNINK_TRY(os::make_pipe("standard input of step " + op.name, 1 << 20));
  os::Pipe out = RUNINK_TRY(os::make_pipe("standard output of step " + op.name, 1 << 20));
  os::Pipe err = RUNINK_TRY(os::make_pipe("standard error of step " + op.name));
  os::Pipe side = RUNINK_TRY(os::make_pipe("report of step " + op.name));
  // A step may open them again by name (`> /dev/fd/3`), which takes permissions to pipes that are not its own.
  for (const os::Fd* end : {&in.read, &out.write, &err.write, &side.write}) (void)::fchmod(end->get(), 0666);
  Step step;
  step.op = op.id;
  step.slice = RUNINK_TRY_CONTEXT(
      scene_.host.start(
          spec,
          {.input = in.read.get(), .output = out.write.get(), .error = err.write.get(), .more = {side.write.get()}}),
      fmt::format("start step \"{}\"", op.name));
  err.write.reset();
  step.words = std::make_unique<local::LastWords>(std::move(err.read));
  step.words_go_to = options.words;
  const uint64_t number = step.slice;
  steps_.emplace(number, std::move(step));
  answer(question, {.number = number}, {in.write.get(), out.read.get(), side.read.get()});
  return {};
}

Status Stage::about_step(uint64_t question, const slice::StageAsk& ask) {
  const auto found = steps_.find(ask.number);
  if (found == steps_.end()) return untrue("a step that was not started");
  Step& step = found->second;
  switch (ask.what) {
    case Ask::kKillStep:
      scene_.host.kill(step.slice);
      step.words->give_up();
      answer(question, {});
      break;
    case Ask::kEndStep:
      scene_.host.kill(step.slice);
      step.words->give_up();
      deferred_.push_back({question, [&step]() -> std::optional<StageAnswer> {
                             return step.end ? std::optional(StageAnswer{}) : std::nullopt;
                           }});
      break;
    default: {
      Status failure = ask.failure;
      if (failure.ok() || !step.end) return untrue("a step's last words out of turn");
      if (step.end->ok()) {
        for (const std::string& sentence : (*step.end)->limits_hit)
          failure = std::move(failure).with_detail("limit: " + sentence);
      }
      const std::string& name = part_.scenario.operators[step.op].name;
      failure = connectors::with_last_words(std::move(failure), step.words->take(),
                                            fmt::format("stderr of \"{}\": ", name), step.words_go_to);
      answer(question, {.status = std::move(failure)});
    }
  }
  return {};
}

}  // namespace runink::isolate
