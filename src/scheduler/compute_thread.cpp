#include "scheduler/compute_thread.hpp"

#include <exception>
#include <utility>

#include "rvsweep/core/error.hpp"

namespace rvsweep {

ComputeThread::ComputeThread(Executor executor)
    : executor_(std::move(executor)), thread_([this](std::stop_token stop) { compute(stop); }) {}

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
  if (!current_) return {};
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - current_since_;
  return {current_, elapsed.count()};
}

void ComputeThread::compute(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  while (task_added_.wait(lock, stop, [this] { return !tasks_.empty() && !halted_; }) &&
         !stop.stop_requested()) {
    const Task task = std::move(tasks_.front());
    tasks_.pop_front();
    current_ = task.id;
    current_since_ = std::chrono::steady_clock::now();
    lock.unlock();
    ComputeResult result = execute(task);
    lock.lock();
    current_.reset();
    halted_ = result.kind != ResultKind::done && result.kind != ResultKind::failed;
    results_.push_back(std::move(result));
    result_added_.notify_one();
  }
}

ComputeResult ComputeThread::execute(const Task& task) const {
  try {
    return {task.id, ResultKind::done, executor_(task.payload), ""};
  } catch (const OutputError& error) {
    return {task.id, ResultKind::output_error, {}, error.what()};
  } catch (const DeviceMemoryError& error) {
    return {task.id, ResultKind::out_of_memory, {}, error.what()};
  } catch (const DeviceError& error) {
    return {task.id, ResultKind::device_error, {}, error.what()};
  } catch (const std::exception& error) {
    return {task.id, ResultKind::failed, {}, error.what()};
  } catch (...) {
    return {task.id, ResultKind::failed, {}, "the executor threw something that is no exception"};
  }
}

}  // namespace rvsweep
