// A stub for tests, not TensorFlow Lite Micro: the declarations that generated code relies on.
#ifndef TENSORFLOW_LITE_MICRO_MICRO_MUTABLE_OP_RESOLVER_H_
#define TENSORFLOW_LITE_MICRO_MICRO_MUTABLE_OP_RESOLVER_H_

enum TfLiteStatus { kTfLiteOk = 0, kTfLiteError = 1 };

#define TF_LITE_ENSURE_STATUS(a)         \
  do {                                   \
    const TfLiteStatus s = (a);          \
    if (s != kTfLiteOk) return s;        \
  } while (0)

namespace tflite {

class MicroOpResolver {};

template <unsigned int tOpCount>
class MicroMutableOpResolver : public MicroOpResolver {
 public:
  TfLiteStatus AddAdd() { return Count(); }
  TfLiteStatus AddAveragePool2D() { return Count(); }
  TfLiteStatus AddConcatenation() { return Count(); }
  TfLiteStatus AddConv2D() { return Count(); }
  TfLiteStatus AddDepthwiseConv2D() { return Count(); }
  TfLiteStatus AddDequantize() { return Count(); }
  TfLiteStatus AddExpandDims() { return Count(); }
  TfLiteStatus AddFullyConnected() { return Count(); }
  TfLiteStatus AddHardSwish() { return Count(); }
  TfLiteStatus AddLogistic() { return Count(); }
  TfLiteStatus AddMaxPool2D() { return Count(); }
  TfLiteStatus AddMean() { return Count(); }
  TfLiteStatus AddMul() { return Count(); }
  TfLiteStatus AddPad() { return Count(); }
  TfLiteStatus AddPadV2() { return Count(); }
  TfLiteStatus AddQuantize() { return Count(); }
  TfLiteStatus AddRelu() { return Count(); }
  TfLiteStatus AddRelu6() { return Count(); }
  TfLiteStatus AddReshape() { return Count(); }
  TfLiteStatus AddSoftmax() { return Count(); }
  TfLiteStatus AddSplit() { return Count(); }
  TfLiteStatus AddSqueeze() { return Count(); }
  TfLiteStatus AddSub() { return Count(); }
  TfLiteStatus AddTranspose() { return Count(); }

 private:
  // As in the original, one more op than the template argument says is an error.
  TfLiteStatus Count() { return ++count_ > tOpCount ? kTfLiteError : kTfLiteOk; }
  unsigned int count_ = 0;
};

}  // namespace tflite

#endif  // TENSORFLOW_LITE_MICRO_MICRO_MUTABLE_OP_RESOLVER_H_
