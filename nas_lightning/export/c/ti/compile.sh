#!/bin/sh
# Compiles the float network for the CPU of @NAME@ by TI's tool (ti_mcu_nnc). Not tested: it is not freely available.
set -e
cd "$(dirname "$0")"
tvmc compile ../../model.onnx -o mod.a \
    --target="c, ti-npu type=soft skip_normalize=false output_int=false" --target-c-mcpu=@MCPU@ \
    --executor=aot --executor-aot-interface-api=c --executor-aot-unpacked-api=1 --runtime=crt \
    --pass-config tir.usmp.enable=1 --pass-config tir.usmp.algorithm=hill_climb --pass-config tir.disable_vectorize=1 \
    --cross-compiler=@PROGRAM@ --cross-compiler-options="@OPTIONS@"
