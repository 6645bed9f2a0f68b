# For fingers that type make: everything is done by ./bootstrap. ARGS go on to the command; MODEL is a
# GGUF file, else the built-in model; PEER a folder with llama.cpp's libraries; HF_MODEL a folder for PyTorch.
# A suite that lacks its means says SKIP and why, which is no failure.
.PHONY: help run build test bench lint bench-inference-all
suites := cpu-inference wgpu gguf-gpu-inference apr-gpu-inference pytorch-inference
.PHONY: $(suites:%=bench-%)

help:
	@./bootstrap help
	@echo "make bench-inference-all, or one of: $(suites:%=bench-%)"

run build test bench lint:
	./bootstrap $@ $(ARGS)

$(suites:%=bench-%): bench-%:
	@MODEL="$(MODEL)" PEER="$(PEER)" ./bootstrap suite $* $(ARGS) || [ $$? -eq 77 ]

bench-inference-all:
	@MODEL="$(MODEL)" PEER="$(PEER)" ./bootstrap suite all $(ARGS)
