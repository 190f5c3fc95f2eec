// A stub for tests, not TensorFlow Lite Micro: an interpreter that answers what the test sets.
#ifndef TENSORFLOW_LITE_MICRO_MICRO_INTERPRETER_H_
#define TENSORFLOW_LITE_MICRO_MICRO_INTERPRETER_H_

#include <stddef.h>
#include <stdint.h>

#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"
#include "tensorflow/lite/schema/schema_generated.h"

namespace tflite {

class MicroInterpreter {
 public:
  MicroInterpreter(const Model* model, const MicroOpResolver& op_resolver, uint8_t* tensor_arena,
                   size_t tensor_arena_size);
  TfLiteStatus AllocateTensors();
  TfLiteStatus Invoke();
  template <class T>
  T* typed_input_tensor(int index) {
    return static_cast<T*>(Input(index, sizeof(T)));
  }
  template <class T>
  T* typed_output_tensor(int index) {
    return static_cast<T*>(Output(index, sizeof(T)));
  }
  size_t arena_used_bytes() const;

 private:
  // The original looks at the type; here at least its size must be right.
  void* Input(int index, size_t item_bytes);
  void* Output(int index, size_t item_bytes);
};

}  // namespace tflite

#endif  // TENSORFLOW_LITE_MICRO_MICRO_INTERPRETER_H_
