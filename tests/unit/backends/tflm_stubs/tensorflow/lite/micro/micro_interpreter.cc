// A stub for tests, not TensorFlow Lite Micro: it "computes" by looking its input up among the golden
// vectors, and spoils the answer if the environment variable SPOIL is set.
#include "tensorflow/lite/micro/micro_interpreter.h"

#include <stdlib.h>
#include <string.h>

#include "golden_vectors.h"

namespace tflite {
namespace {
int8_t input_values[kInputBytes];
int8_t output_values[kClasses];
TfLiteTensor input_tensor{{input_values}};
TfLiteTensor output_tensor{{output_values}};
size_t arena_bytes = 0;
}  // namespace

MicroInterpreter::MicroInterpreter(const Model*, const MicroOpResolver&, uint8_t*, size_t bytes) {
  arena_bytes = bytes;
}

TfLiteStatus MicroInterpreter::AllocateTensors() {
  return getenv("NO_ARENA") ? kTfLiteError : kTfLiteOk;
}

TfLiteStatus MicroInterpreter::Invoke() {
  for (int i = 0; i < kGoldenCount; ++i) {
    if (memcmp(input_values, kGoldenInputs[i], kInputBytes) == 0) {
      memcpy(output_values, kGoldenOutputs[i], kClasses);
      if (getenv("SPOIL")) output_values[0] ^= 1;
      return kTfLiteOk;
    }
  }
  return kTfLiteError;
}

TfLiteTensor* MicroInterpreter::input(size_t) { return &input_tensor; }
TfLiteTensor* MicroInterpreter::output(size_t) { return &output_tensor; }
size_t MicroInterpreter::arena_used_bytes() const { return arena_bytes - 16; }

}  // namespace tflite
