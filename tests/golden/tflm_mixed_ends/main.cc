// toy_0.25_16 on TensorFlow Lite Micro: sets up the interpreter, runs the golden vectors and says
// whether every output is as expected. Written by edgekit 0.1.0; replace main's second half by
// your sensor.
#include <math.h>
#include <stdint.h>

#include "golden_vectors.h"
#include "model_data.h"
#include "model_settings.h"
#include "op_resolver.h"
#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/micro/micro_log.h"
#include "tensorflow/lite/micro/system_setup.h"
#include "tensorflow/lite/schema/schema_generated.h"

namespace {

alignas(16) uint8_t arena[kArenaBytes];

// Copies values to one of the network's inputs.
template <typename T, int kCount>
void SetInput(tflite::MicroInterpreter& interpreter, int index, const T (&values)[kCount]) {
  T* input = interpreter.typed_input_tensor<T>(index);
  for (int i = 0; i < kCount; ++i) input[i] = values[i];
}

// Whether one of the network's outputs holds exactly these values.
template <typename T, int kCount>
bool HasOutput(tflite::MicroInterpreter& interpreter, int index, const T (&expected)[kCount]) {
  const T* output = interpreter.typed_output_tensor<T>(index);
  for (int i = 0; i < kCount; ++i) {
    if (output[i] != expected[i]) return false;
  }
  return true;
}

// Whether one of the network's outputs is as near to these values as it should be.
template <int kCount>
bool HasOutput(tflite::MicroInterpreter& interpreter, int index, const float (&expected)[kCount],
               float tolerance) {
  const float* output = interpreter.typed_output_tensor<float>(index);
  for (int i = 0; i < kCount; ++i) {
    if (!(fabsf(output[i] - expected[i]) <= tolerance)) return false;
  }
  return true;
}

// The class with the highest score; of equal ones the first.
int BestClass(tflite::MicroInterpreter& interpreter) {
  const int8_t* scores = interpreter.typed_output_tensor<int8_t>(0);
  int best = 0;
  for (int i = 1; i < kClasses; ++i) {
    if (scores[i] > scores[best]) best = i;
  }
  return best;
}

// Runs one golden vector; returns whether the outputs are as expected.
bool RunGolden(tflite::MicroInterpreter& interpreter, int vector) {
  SetInput(interpreter, 0, kGoldenInput0[vector]);
  SetInput(interpreter, 1, kGoldenInput1[vector]);
  if (interpreter.Invoke() != kTfLiteOk) return false;
  return HasOutput(interpreter, 0, kGoldenOutput0[vector]) &&
         HasOutput(interpreter, 1, kGoldenOutput1[vector], kOutput1Tolerance);
}

// Runs the golden vectors; returns how many gave other outputs than expected.
int CountFailures(tflite::MicroInterpreter& interpreter) {
  int failures = 0;
  for (int i = 0; i < kGoldenCount; ++i) {
    const bool passed = RunGolden(interpreter, i);
    MicroPrintf("golden vector %d: %s, %s", i, passed ? "right" : "WRONG",
                kLabels[BestClass(interpreter)]);
    if (!passed) ++failures;
  }
  return failures;
}

}  // namespace

int main() {
  tflite::InitializeTarget();
  const tflite::Model* model = tflite::GetModel(kModelData);
  if (model->version() != TFLITE_SCHEMA_VERSION) {
    MicroPrintf("The model has schema %d, this runtime %d.", static_cast<int>(model->version()),
                TFLITE_SCHEMA_VERSION);
    return 1;
  }
  static ModelOpResolver resolver;
  if (RegisterOps(resolver) != kTfLiteOk) {
    MicroPrintf("This runtime lacks an operator.");
    return 1;
  }
  static tflite::MicroInterpreter interpreter(model, resolver, arena, kArenaBytes);
  if (interpreter.AllocateTensors() != kTfLiteOk) {
    MicroPrintf("The arena of %d bytes is too small for this runtime.", kArenaBytes);
    return 1;
  }
  MicroPrintf("arena: %d of %d bytes used", static_cast<int>(interpreter.arena_used_bytes()),
              kArenaBytes);
  const int failures = CountFailures(interpreter);
  MicroPrintf("self test: %s", failures == 0 ? "PASSED" : "FAILED");
  return failures == 0 ? 0 : 1;
}
