/* NCCL and the two calls of CUDA's runtime that go with it, for tests/comm/nccl_test.cpp. Ranks move no bytes: that is
   NCCL's own. $FAKE_NCCL says what goes wrong: "" nothing, "init" and "broadcast" fail at once, "init_hangs", "hangs"
   (the broadcast is asked for and never ends on the stream). It checks what NCCL checks of the configuration. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum { success = 0, internal_error = 3, invalid_argument = 4, in_progress = 7, cuda_not_ready = 600 };

typedef struct {
  char bytes[128];
} UniqueId;

typedef struct {
  size_t size;
  unsigned magic, version;
  int blocking;
} Config;

static int communicator, calls_in_progress, aborted;

static int is(const char* what) {
  const char* wanted = getenv("FAKE_NCCL");
  return wanted != NULL && strcmp(wanted, what) == 0;
}

int fake_nccl_aborted(void) { return aborted; }

int ncclGetUniqueId(UniqueId* id) {
  memset(id->bytes, 7, sizeof id->bytes);
  return success;
}

int ncclCommInitRankConfig(void** made, int ranks, UniqueId id, int rank, const Config* config) {
  if (config->magic != 0xcafebeef || config->blocking != 0 || config->size != 20) return invalid_argument;
  if (ranks < 1 || rank < 0 || rank >= ranks || id.bytes[127] != 7) return invalid_argument;
  if (is("init")) return internal_error;
  *made = &communicator;
  calls_in_progress = 3;
  return in_progress;
}

int ncclCommGetAsyncError(void* of, int* state) {
  if (of != &communicator) return invalid_argument;
  *state = is("init_hangs") || calls_in_progress-- > 0 ? in_progress : success;
  return success;
}

int ncclBroadcast(const void* from, void* to, size_t count, int type, int root, void* with, void* stream) {
  if (from != to || count == 0 || type != 0 || root != 0 || with != &communicator || stream != NULL)
    return invalid_argument;
  calls_in_progress = 2;
  return is("broadcast") ? internal_error : in_progress;
}

int ncclCommAbort(void* of) {
  ++aborted;
  return of == &communicator ? success : invalid_argument;
}

const char* ncclGetErrorString(int result) { return result == internal_error ? "internal error" : "invalid argument"; }

int cudaStreamQuery(void* stream) {
  (void)stream;
  return is("hangs") ? cuda_not_ready : success;
}
