#pragma once
// Memory of large tensors on the CPU. Fresh pages have to be cleared, and on virtual machines found
// first, which takes longer than most of what is then done with them.

namespace rvsweep {

/// From now on, CPU tensors of a MiB or more lie in huge pages that are kept when a tensor dies and
/// used again by one of about its size; at most a quarter more is kept than tensors have needed at
/// once. To be called once, before the first tensor. Any thread may make and free tensors.
void use_caching_allocator();

}  // namespace rvsweep
