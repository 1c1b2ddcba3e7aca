/* libcuda.so.1 for tests: a driver that offers CUDA $FAKE_DRIVER_VERSION (as 1000 major + 10 minor) and whose cuInit
   gives $FAKE_DRIVER_INIT (a CUresult). Put first in LD_LIBRARY_PATH (tests/cli/test_gpu_driver.py) it shows, against
   libtorch's own GPU part and CUDA runtime, what is said at start-up where the driver is old, does not start or has no
   device. Asked directly (tests/kernels/cuda/driver_test.cpp) it has a device, the GPU number $FAKE_DRIVER_GPU of its
   machine. It cannot show libtorch a device that works: the runtime finds none of the functions that it needs. */
#include <stdlib.h>
#include <string.h>

enum { not_found = 500, no_device = 100, system_not_ready = 802 };

static int number(const char* variable) {
  const char* text = getenv(variable);
  return text == NULL ? 0 : atoi(text);
}

int cuInit(unsigned flags) {
  (void)flags;
  return number("FAKE_DRIVER_INIT");
}

int cuDriverGetVersion(int* version) {
  *version = number("FAKE_DRIVER_VERSION");
  return 0;
}

int cuGetErrorString(int result, const char** text) {
  if (result != no_device && result != system_not_ready) return not_found;
  *text = result == no_device ? "no CUDA-capable device is detected" : "system not yet initialized";
  return 0;
}

int cuDeviceGet(int* handle, int device) {
  *handle = 40;
  return device == 0 ? 0 : no_device;
}

int cuDeviceGetName(char* name, int size, int handle) {
  strncpy(name, "Fake GPU", (size_t)size);
  return handle == 40 ? 0 : no_device;
}

int cuDeviceGetUuid(unsigned char* bytes, int handle) {
  memset(bytes, 0xa5, 16);
  bytes[15] = (unsigned char)number("FAKE_DRIVER_GPU");
  return handle == 40 ? 0 : no_device;
}

int cuGetProcAddress_v2(const char* name, void** function, int version, unsigned long flags, int* status) {
  (void)name, (void)version, (void)flags;
  *function = NULL;
  if (status != NULL) *status = 1; /* CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND */
  return not_found;
}
