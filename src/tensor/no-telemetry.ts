// Switches off the telemetry of ONNX Runtime, which since 1.29 sends events about sessions and models to its maker and writes an
// identifier of the device to its disk (microsoft/onnxruntime pull request 27379). Imported before the library is: it looks once.

process.env.ORT_DISABLE_TELEMETRY = '1';
