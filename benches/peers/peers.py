"""The same layers, networks and training steps in engines from PyPI.

    peers.py models SHAPES DIR   writes the layers and networks as ONNX files, for all engines
    peers.py time DIR JSON       times them in onnxruntime
    peers.py train JSON          times training steps in TensorFlow

SHAPES is what `nested-bench host --shapes` writes. JSON is what `nested-bench performance` reads; rows that it holds
already stay when they are faster.
"""

import json
import os
import pathlib
import sys
import time

import numpy as np

SEED = 5
ROUNDS, SLICE = 5, 0.01


def merge(path, rows_of, engines):
    """Adds rows to a file, keeping the faster ones; `rows_of` maps a list's name to its rows."""
    path = pathlib.Path(path)
    content = json.loads(path.read_text()) if path.exists() else {}
    for name, rows in rows_of.items():
        kept = {}
        for row in content.get(name, []) + rows:
            key = tuple(value for field, value in row.items() if field not in ("ms", "images_per_second", "gflops"))
            best = kept.get(key)
            faster = best is None or row.get("ms", 0) < best.get("ms", 0)
            if faster or row.get("images_per_second", 0) > best.get("images_per_second", 0):
                kept[key] = row
        content[name] = list(kept.values())
    machine = {"processor": "", "cores": os.cpu_count(), "load": 0.0, "rustc": "", "commit": "", "engines": engines}
    content.setdefault("machine", machine)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(content, indent=2))
    temporary.rename(path)


def models(shapes, folder):
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    random = np.random.default_rng(SEED)
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)

    class Graph:
        """A quantised graph under construction; tensors are named by number."""

        def __init__(self, inputs, kind):
            self.nodes, self.constants, self.kind = [], [], kind
            self.input = helper.make_tensor_value_info("0", TensorProto.UINT8, [1, *inputs])

        def constant(self, value):
            name = f"c{len(self.constants)}"
            self.constants.append(numpy_helper.from_array(np.asarray(value), name))
            return name

        def scale(self, value=0.02):
            return self.constant(np.float32(value))

        def zero(self):
            return self.constant(np.uint8(128))

        def add(self, op, inputs, output, domain=None, **attributes):
            self.nodes.append(helper.make_node(op, inputs, [output], domain=domain, **attributes))

        def convolution(self, source, output, shape, group, kernel, stride, padding):
            weights = random.integers(-127, 128, size=[*shape, *kernel], dtype=np.int8)
            shared = dict(kernel_shape=list(kernel), strides=[stride] * 2, pads=list(padding), group=group)
            if self.kind == "integer":
                inputs = [source, self.constant(weights), self.zero()]
                return self.add("ConvInteger", inputs, output, **shared)
            taps = shape[1] * kernel[0] * kernel[1]
            # One scale an output channel, as our rows have; sums come out at about a third of the range.
            scales = np.full(shape[0], 0.5 / (40.0 * np.sqrt(taps)), np.float32)
            inputs = [source, self.scale(), self.zero(), self.constant(weights), self.constant(scales)]
            inputs += [self.constant(np.zeros(shape[0], np.int8)), self.scale(), self.zero()]
            inputs += [self.constant(np.full(shape[0], 100, np.int32))]
            self.add("QLinearConv", inputs, output, **shared)

        def float_between(self, op, sources, output, **attributes):
            """An operator in float, between conversions; engines may fuse them."""
            for source in sources:
                self.add("DequantizeLinear", [source, self.scale(), self.zero()], f"{source}f{output}")
            self.add(op, [f"{source}f{output}" for source in sources], f"{output}f", **attributes)
            self.add("QuantizeLinear", [f"{output}f", self.scale(), self.zero()], output)

        def save(self, path, output, shape):
            kind = TensorProto.INT32 if self.kind == "integer" else TensorProto.UINT8
            result = helper.make_tensor_value_info(output, kind, [1, *shape])
            graph = helper.make_graph(self.nodes, "graph", [self.input], [result], self.constants)
            domains = [helper.make_opsetid("", 13), helper.make_opsetid("com.microsoft", 1)]
            model = helper.make_model(graph, opset_imports=domains, ir_version=8)
            onnx.save(model, str(path))

    content = json.loads(pathlib.Path(shapes).read_text())
    for layer in content["layers"]:
        height, width, channels, rows = layer["shape"]
        kernel, stride, padding = layer["window"]
        group = channels if layer["depthwise"] else 1
        size = [(side + 2 * padding - kernel) // stride + 1 for side in (height, width)]
        for kind in ("qlinear", "integer"):
            graph = Graph([channels, height, width], kind)
            graph.convolution("0", "1", [rows, channels // group], group, [kernel] * 2, stride, [padding] * 4)
            graph.save(folder / f"layer.{layer['layer']}.{kind}.onnx", "1", [rows, *size])
    for network in content["networks"]:
        graph = Graph(network["input"], "qlinear")
        shape = [network["input"]] + [node["output"] for node in network["nodes"]]
        for output, node in enumerate(network["nodes"], 1):
            sources, output = [str(source) for source in node["inputs"]], str(output)
            channels, rows = shape[node["inputs"][0]][0], node["output"][0]
            if node["op"] in ("convolution", "depthwise"):
                group = channels if node["op"] == "depthwise" else 1
                form = [rows, channels // group]
                graph.convolution(sources[0], output, form, group, node["kernel"], node["stride"], node["padding"])
            elif node["op"] == "add":
                graph.float_between("Add", sources, output)
            else:
                op = "AveragePool" if node["op"] == "average pool" else "MaxPool"
                graph.float_between(op, sources, output, kernel_shape=node["kernel"], strides=[node["stride"]] * 2)
        graph.save(folder / f"network.{network['network']}.qlinear.onnx", output, shape[-1])


def measure(folder, path):
    import onnxruntime

    random = np.random.default_rng(SEED)
    cases = []
    for file in sorted(pathlib.Path(folder).glob("*.qlinear.onnx")):
        kind, name = file.name.split(".")[:2]
        for threads in (1, 2):
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
            session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
            shape = session.get_inputs()[0].shape
            feed = {"0": random.integers(0, 256, size=shape, dtype=np.uint8)}
            row = dict(layer=name, sparsity=0, threads=threads, engine="onnxruntime", backend="QLinearConv", ms=1e9)
            cases.append((kind, session, feed, row))
    for _ in range(ROUNDS):
        for _, session, feed, row in cases:
            end = time.perf_counter() + SLICE
            while time.perf_counter() < end:
                start = time.perf_counter()
                session.run(None, feed)
                row["ms"] = min(row["ms"], (time.perf_counter() - start) * 1e3)
    rows = {kind + "s": [row for k, _, _, row in cases if k == kind] for kind in ("layer", "network")}
    merge(path, rows, [f"onnxruntime {onnxruntime.__version__}"])


def train(path):
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(2)
    tf.config.threading.set_inter_op_parallelism_threads(2)
    batch, steps, rounds = 64, 24, 4
    images = tf.random.stateless_normal([batch, 28, 28, 1], seed=[SEED, 1])
    labels = tf.random.stateless_uniform([batch], seed=[SEED, 2], maxval=10, dtype=tf.int32)
    rows = []
    for width, macs in ((1.0, 9_345_920), (0.5, 2_364_864)):
        step = resnet8_step(tf, int(16 * width), images, labels)
        step()
        best = 1e9
        for _ in range(rounds):
            start = time.perf_counter()
            for _ in range(steps):
                loss = step()
            loss.numpy()
            best = min(best, time.perf_counter() - start)
        speed = batch * steps / best
        row = dict(network="ResNet-8", width=width, batch=batch, threads=2, engine="TensorFlow-CPU")
        rows.append(row | dict(images_per_second=speed, gflops=speed * macs * 6 / 1e9))
    merge(path, {"rows": rows}, [f"TensorFlow-CPU {tf.__version__}"])


def resnet8_step(tf, width, images, labels):
    """One step of SGD with momentum, as a compiled graph."""
    layers = tf.keras.layers
    norm = lambda x: layers.BatchNormalization()(x)
    conv = lambda x, rows, kernel, stride: norm(
        layers.Conv2D(rows, kernel, strides=stride, padding="same", use_bias=False)(x)
    )
    source = tf.keras.Input([28, 28, 1])
    x = layers.ReLU()(conv(source, width, 3, 1))
    for stack, stride in enumerate((1, 2, 2)):
        rows = width << stack
        y = conv(layers.ReLU()(conv(x, rows, 3, stride)), rows, 3, 1)
        x = layers.ReLU()(y + (x if stride == 1 else conv(x, rows, 1, stride)))
    model = tf.keras.Model(source, layers.Dense(10)(layers.GlobalAveragePooling2D()(x)))
    velocities = [tf.Variable(tf.zeros_like(v), trainable=False) for v in model.trainable_variables]
    rate, momentum = 0.01, 0.9

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            logits = model(images, training=True)
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
        for variable, velocity, gradient in zip(
            model.trainable_variables, velocities, tape.gradient(loss, model.trainable_variables)
        ):
            velocity.assign(momentum * velocity + gradient)
            variable.assign_sub(rate * velocity)
        return loss

    return step


if __name__ == "__main__":
    commands = {"models": models, "time": measure, "train": train}
    if len(sys.argv) < 3 or sys.argv[1] not in commands:
        sys.exit(__doc__)
    commands[sys.argv[1]](*sys.argv[2:])
