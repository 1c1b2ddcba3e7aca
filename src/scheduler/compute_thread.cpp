#include "scheduler/compute_thread.hpp"

#include <exception>
#include <utility>

#include "rvsweep/core/error.hpp"

namespace rvsweep {

namespace {

/// What has become of an item after `work`; its outcome is what that returns.
ComputeResult attempt(std::int32_t id, const std::function<Bytes()>& work) {
  try {
    return {id, ResultKind::done, work(), ""};
  } catch (const OutputError& error) {
    return {id, ResultKind::output_error, {}, error.what()};
  } catch (const DeviceMemoryError& error) {
    return {id, ResultKind::out_of_memory, {}, error.what()};
  } catch (const DeviceError& error) {
    return {id, ResultKind::device_error, {}, error.what()};
  } catch (const std::exception& error) {
    return {id, ResultKind::failed, {}, error.what()};
  } catch (...) {
    return {id, ResultKind::failed, {}, "the executor threw something that is no exception"};
  }
}

}  // namespace

ComputeThread::ComputeThread(Executor executor)
    : executor_(std::move(executor)),
      commit_thread_([this](std::stop_token stop) { commit(stop); }),
      compute_thread_([this](std::stop_token stop) { compute(stop); }) {}

void ComputeThread::submit(std::int32_t id, Bytes payload) {
  {
    const std::scoped_lock lock(mutex_);
    tasks_.push_back({id, std::move(payload)});
  }
  task_added_.notify_one();
}

std::vector<std::int32_t> ComputeThread::withdraw() {
  const std::scoped_lock lock(mutex_);
  std::vector<std::int32_t> ids;
  for (const Task& task : tasks_) ids.push_back(task.id);
  tasks_.clear();
  return ids;
}

std::vector<ComputeResult> ComputeThread::take_results() {
  const std::scoped_lock lock(mutex_);
  return std::exchange(results_, {});
}

void ComputeThread::wait_for_result(std::chrono::microseconds longest) {
  std::unique_lock lock(mutex_);
  result_added_.wait_for(lock, longest, [this] { return !results_.empty(); });
}

Activity ComputeThread::activity() const {
  const std::scoped_lock lock(mutex_);
  const auto& started = computing_ ? computing_ : committing_;
  if (!started) return {};
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - started->since;
  return {started->id, elapsed.count()};
}

void ComputeThread::compute(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  while (task_added_.wait(lock, stop, [this] { return !tasks_.empty() && !halted_; }) &&
         !stop.stop_requested()) {
    const Task task = std::move(tasks_.front());
    tasks_.pop_front();
    computing_ = {task.id, std::chrono::steady_clock::now()};
    lock.unlock();
    Commit commit;
    ComputeResult result = attempt(task.id, [&] {
      commit = executor_(task.payload);
      return Bytes();
    });
    lock.lock();
    if (result.kind == ResultKind::done) {
      commit_ended_.wait(lock, [this] { return !committing_; });
      committing_ = std::move(computing_);
      committing_->commit = std::move(commit);
      commit_added_.notify_one();
    } else {
      add_result(std::move(result));
    }
    computing_.reset();
  }
}

void ComputeThread::commit(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  while (commit_added_.wait(lock, stop, [this] { return committing_.has_value(); })) {
    lock.unlock();
    ComputeResult result = attempt(committing_->id, std::exchange(committing_->commit, {}));
    lock.lock();
    committing_.reset();
    add_result(std::move(result));
    commit_ended_.notify_one();
  }
}

/// With the mutex held.
void ComputeThread::add_result(ComputeResult result) {
  halted_ |= result.kind != ResultKind::done && result.kind != ResultKind::failed;
  results_.push_back(std::move(result));
  result_added_.notify_one();
}

}  // namespace rvsweep
