// A stub for tests, not TensorFlow Lite Micro.
#ifndef TENSORFLOW_LITE_MICRO_MICRO_LOG_H_
#define TENSORFLOW_LITE_MICRO_MICRO_LOG_H_

#include <stdio.h>

#define MicroPrintf(...) (printf(__VA_ARGS__), printf("\n"))

#endif  // TENSORFLOW_LITE_MICRO_MICRO_LOG_H_
