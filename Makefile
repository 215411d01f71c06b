# farsight: build, test and run. `make help` lists the targets.

PACKAGES := g++ make libopenblas-openmp-dev libcli11-dev nlohmann-json3-dev catch2 libxxhash-dev \
            libutf8proc-dev gnuplot-nox fonts-dejavu-core curl ca-certificates unzip python3

INSTALL = \
  if ! command -v apt-get >/dev/null 2>&1; then \
    echo "install these with your system's packages: $(PACKAGES)"; exit 0; \
  fi; \
  missing=; \
  for package in $(PACKAGES); do \
    dpkg-query -W -f='$${Status}' $$package 2>/dev/null | grep -q 'ok installed' || \
      missing="$$missing $$package"; \
  done; \
  [ -n "$$missing" ] || exit 0; \
  echo "installing:$$missing"; \
  root=; [ "$$(id -u)" = 0 ] || root=sudo; \
  $$root env DEBIAN_FRONTEND=noninteractive apt-get update -qq && \
  $$root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    $$missing >/dev/null

# Packages come before anything else is looked for, so that `make deps test` finds what they bring.
ifneq ($(filter deps,$(MAKECMDGOALS)),)
$(shell { $(INSTALL); } >&2)
ifneq ($(.SHELLSTATUS),0)
$(error not everything could be installed; the lines above say why)
endif
endif

CXX ?= g++
ifeq ($(origin CXX),default)
CXX := g++
endif
ARCH ?= native
RUNS ?= runs

MAKEFLAGS += -j$(shell nproc 2>/dev/null || echo 2)
.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SUFFIXES:

# OpenBLAS in its OpenMP flavour, whatever the system's alternatives point to.
BLAS_LIB := $(firstword $(wildcard /usr/lib/*/openblas-openmp /usr/lib/openblas-openmp))
BLAS_INCLUDE := $(firstword $(wildcard /usr/include/*/openblas-openmp /usr/include/openblas-openmp))

# Exact arithmetic: softmax needs its infinities and the checks need their NaN, so the compiler may
# forget errno and traps and nothing else. Clang is not to warn of loops that it does not vectorise.
FLAGS := -std=c++20 -O3 -march=$(ARCH) -fopenmp -fno-math-errno -fno-trapping-math -Wall -Wextra \
         -Wno-pass-failed -I. $(BLAS_INCLUDE:%=-isystem %) $(EXTRA)
LIBS := -fopenmp -L$(BLAS_LIB) -Wl,-rpath,$(BLAS_LIB) -lopenblas -lutf8proc -lxxhash
ifdef DEBUG
# With sanitizers gcc takes parts of the standard library for uninitialized.
FLAGS += -O1 -g -fsanitize=address,undefined -fno-omit-frame-pointer -Wno-maybe-uninitialized \
         -Wno-unknown-warning-option
LIBS += -fsanitize=address,undefined
BUILD := build/debug
else
FLAGS += -g1 -DNDEBUG
BUILD := build
endif

LIBRARY := $(wildcard core/*.cpp core/cpu/*.cpp nn/*.cpp nn/position/*.cpp nn/extension/*.cpp)
PROGRAM := $(LIBRARY) $(wildcard data/*.cpp train/*.cpp)
DERIVATIVES := tests/main.cpp tests/op_cases.cpp $(wildcard tests/gradcheck*.cpp)
TESTS := $(filter-out tests/gradcheck%,$(wildcard tests/*.cpp)) \
         $(filter-out train/main.cpp,$(PROGRAM))

# The CUDA backend, where there is a toolkit: kernels for all architectures from 7.5 to 12.0 that it
# knows, or for SM="80 90". CUBLAS=1 builds in cuBLAS, as a yardstick for `bench --device cublas`.
NVCC := $(firstword $(wildcard $(CUDA_HOME:%=%/bin/nvcc)) $(shell command -v nvcc 2>/dev/null) \
                    $(wildcard /usr/local/cuda/bin/nvcc))
CUDA_SOURCES := $(wildcard cuda/*.cu)
ifneq ($(NVCC),)
CUDA_PATH := $(patsubst %/bin/,%,$(dir $(realpath $(NVCC))))
SM ?= $(filter 75 80 86 89 90 100 120,$(patsubst compute_%,%,$(shell $(NVCC) --list-gpu-arch)))
NVCC_FLAGS := -std=c++17 -O3 -lineinfo --expt-relaxed-constexpr -Werror all-warnings \
              -Xcompiler -Wall,-Wextra -I. \
              $(foreach sm,$(SM),-gencode arch=compute_$(sm),code=sm_$(sm)) \
              $(foreach sm,$(or $(lastword $(filter-out 120,$(SM))),$(SM)),\
                -gencode arch=compute_$(sm),code=compute_$(sm))
ifneq ($(CUBLAS),)
CUDA_SOURCES += cuda/cublas/cublas.cu
CUBLAS_LIBS = -L$(CUDA_PATH)/lib64 -Wl,-rpath,$(CUDA_PATH)/lib64 -lcublas
endif
CUDA_OBJECTS := $(patsubst %.cu,$(BUILD)/cuda/%.o,$(CUDA_SOURCES))
CUDA_LIBS := $(firstword $(wildcard $(CUDA_PATH)/lib64/libcudart_static.a \
                                    $(CUDA_PATH)/targets/*/lib/libcudart_static.a)) $(CUBLAS_LIBS) -ldl -lrt -lpthread
endif

# Objects of the float build under BUILD/float, of the double build under BUILD/double.
float_objects = $(patsubst %.cpp,$(BUILD)/float/%.o,$(1))
double_objects = $(patsubst %.cpp,$(BUILD)/double/%.o,$(1))

.PHONY: all
all: $(BUILD)/farsight  ## build the program, build/farsight

$(BUILD)/farsight: $(call float_objects,$(PROGRAM)) $(CUDA_OBJECTS)
$(BUILD)/tests: $(call float_objects,$(TESTS))
$(BUILD)/gradcheck: $(call double_objects,$(LIBRARY) $(DERIVATIVES))
$(BUILD)/farsight $(BUILD)/tests $(BUILD)/gradcheck:
	@echo "link     $@$(if $(NVCC)$(filter-out %farsight,$@),, (for the CPU alone: no nvcc in CUDA_HOME, PATH or /usr/local/cuda))"
	@$(CXX) -o $@ $^ $(LIBS) $(CUDA_LIBS)

$(BUILD)/float/%.o: %.cpp $(BUILD)/flags | found
	@mkdir -p $(@D)
	@echo "compile  $<"
	@$(CXX) $(FLAGS) -MMD -MP -c $< -o $@

$(BUILD)/double/%.o: %.cpp $(BUILD)/flags | found
	@mkdir -p $(@D)
	@echo "compile  $< (double)"
	@$(CXX) $(FLAGS) -DREAL=double -MMD -MP -c $< -o $@

# The same kernels compiled by the host's compiler against the emulator of tests/cuda_emulator, which
# executes them: tests/cuda runs on machines without a GPU. Four programs, in float and double, and
# with sanitizers in the kernels: -fsanitize=address,undefined and -fsanitize=thread, which finds
# races.
EMULATED_FLAGS = $(FLAGS) -Itests/cuda_emulator -ffp-contract=off -fno-strict-aliasing \
                 -Wno-unknown-pragmas
KERNELS := $(wildcard cuda/*.cu docs/kernels/*.cu)
EMULATOR := $(wildcard tests/cuda_emulator/*.cpp)
emulated_objects = $(patsubst %,$(BUILD)/emulated/$(1)/%.o,$(basename $(2)))

# $(call emulated_rules,KIND,FLAGS OF KERNELS AND TESTS,FLAGS OF THE EMULATOR)
define emulated_rules
$$(BUILD)/emulated/$(1)/tests/cuda_emulator/%.o: tests/cuda_emulator/%.cpp $$(BUILD)/flags
	@mkdir -p $$(@D)
	@echo "compile  $$< (emulated, $(1))"
	@$$(CXX) $$(EMULATED_FLAGS) $(3) -MMD -MP -c $$< -o $$@

$$(BUILD)/emulated/$(1)/%.o: %.cpp $$(BUILD)/flags | found
	@mkdir -p $$(@D)
	@echo "compile  $$< (emulated, $(1))"
	@$$(CXX) $$(EMULATED_FLAGS) $(2) -MMD -MP -c $$< -o $$@

$$(BUILD)/emulated/$(1)/%.o: %.cu $$(BUILD)/flags | found
	@mkdir -p $$(@D)
	@echo "compile  $$< (emulated, $(1))"
	@$$(CXX) $$(EMULATED_FLAGS) $(2) -MMD -MP -x c++ -c $$< -o $$@

-include $$(patsubst %.o,%.d,$$(call emulated_objects,$(1),$$(KERNELS) $$(EMULATOR) $$(CUDA_TESTS)))
endef

CUDA_TESTS := $(wildcard tests/cuda/*.cpp)
CUDA_TEST_LIBRARY := tests/main.cpp tests/op_cases.cpp $(filter-out train/main.cpp,$(PROGRAM))
ADDRESS := -g -fsanitize=address,undefined -fno-sanitize-recover=undefined
$(eval $(call emulated_rules,float))
$(eval $(call emulated_rules,double,-DREAL=double,-DREAL=double))
$(eval $(call emulated_rules,address,$(ADDRESS),$(ADDRESS)))
$(eval $(call emulated_rules,thread,-g -fsanitize=thread,-g -DEMULATOR_TSAN))

EMULATED := float double address thread
EMULATED_PROGRAMS := $(EMULATED:%=$(BUILD)/cuda-tests-%)
$(BUILD)/cuda-tests-float: $(call emulated_objects,float,$(KERNELS) $(EMULATOR) $(CUDA_TESTS))
# Sanitizers see what the order of threads might hide.
$(foreach kind,address thread,$(eval $(BUILD)/cuda-tests-$(kind): $(call emulated_objects,$(kind),\
  $(KERNELS) $(EMULATOR) $(filter-out tests/cuda/test_orders% tests/cuda/test_device%,$(CUDA_TESTS)))))
# Of the double build only what says something of derivatives.
$(BUILD)/cuda-tests-double: $(call emulated_objects,double,$(KERNELS) $(EMULATOR) \
  $(filter-out tests/cuda/test_emulator% tests/cuda/test_training% tests/cuda/test_device%,$(CUDA_TESTS)))
$(BUILD)/cuda-tests-float $(BUILD)/cuda-tests-address $(BUILD)/cuda-tests-thread: \
  $(call float_objects,$(CUDA_TEST_LIBRARY))
$(BUILD)/cuda-tests-double: $(call double_objects,tests/main.cpp tests/op_cases.cpp $(LIBRARY))
$(BUILD)/cuda-tests-address: SANITIZE := -fsanitize=address,undefined
$(BUILD)/cuda-tests-thread: SANITIZE := -fsanitize=thread
$(EMULATED_PROGRAMS):
	@echo "link     $@"
	@$(CXX) -o $@ $^ $(SANITIZE) $(LIBS)

# The same tests on a real device, without those of the emulator.
$(BUILD)/cuda-tests-device: $(patsubst %.cu,$(BUILD)/cuda/%.o,$(KERNELS)) $(call float_objects,\
  $(CUDA_TEST_LIBRARY) $(filter-out tests/cuda/test_emulator% tests/cuda/test_orders% \
  tests/cuda/test_device%,$(CUDA_TESTS)))
	@echo "link     $@"
	@$(CXX) -o $@ $^ $(LIBS) $(CUDA_LIBS)

MUTATION_OBJECTS := $(call emulated_objects,float,$(KERNELS) $(EMULATOR) $(CUDA_TESTS)) \
                    $(call float_objects,$(CUDA_TEST_LIBRARY))

# What `make test` runs of these: the device where there is one, else the emulator.
CUDA_TEST_PROGRAMS := $(if $(and $(NVCC),$(wildcard /dev/nvidiactl)),$(BUILD)/cuda-tests-device,\
                      $(EMULATED_PROGRAMS))

$(BUILD)/cuda/%.o: %.cu $(BUILD)/cuda-flags
	@mkdir -p $(@D)
	@echo "compile  $<"
	@$(NVCC) $(NVCC_FLAGS) -Xptxas -v -MMD -MP -c $< -o $@ 2>$@.log || { cat $@.log; exit 1; }
	@! grep warning $@.log

-include $(patsubst %.cu,$(BUILD)/cuda/%.d,$(KERNELS))
-include $(patsubst %.o,%.d,$(call float_objects,$(PROGRAM) $(TESTS)) \
                            $(call double_objects,$(LIBRARY) $(DERIVATIVES)))

# Changes when the compiler or its flags do, and everything is then built again.
$(BUILD)/flags: always
	@mkdir -p $(@D)
	@echo '$(shell $(CXX) --version 2>/dev/null | head -n 1) $(FLAGS)' | cmp -s - $@ || \
	  echo '$(shell $(CXX) --version 2>/dev/null | head -n 1) $(FLAGS)' > $@

$(BUILD)/cuda-flags: always
	@mkdir -p $(@D)
	@echo '$(NVCC) $(NVCC_FLAGS)' | cmp -s - $@ || echo '$(NVCC) $(NVCC_FLAGS)' > $@

.PHONY: always
always:

.PHONY: found
found:
	@missing=; \
	command -v $(firstword $(CXX)) >/dev/null 2>&1 || missing="$$missing $(firstword $(CXX))"; \
	[ -n "$(BLAS_LIB)" ] || missing="$$missing libopenblas-openmp-dev"; \
	for header in CLI/CLI.hpp nlohmann/json.hpp xxhash.h utf8proc.h; do \
	  [ -e /usr/include/$$header ] || [ -e /usr/local/include/$$header ] || \
	    missing="$$missing $$header"; \
	done; \
	[ -z "$$missing" ] || { echo "not installed:$$missing; run make deps"; exit 1; }

.PHONY: deps
deps:  ## install what the build needs (Debian, Ubuntu)
	@:

.PHONY: test
test: $(BUILD)/farsight $(BUILD)/tests $(BUILD)/gradcheck $(CUDA_TEST_PROGRAMS)  ## run every test
	@tests/run.sh $(BUILD) $(filter-out $<,$^)

.PHONY: test-cuda-full
test-cuda-full: $(firstword $(CUDA_TEST_PROGRAMS))  ## run the CUDA kernels over many more shapes
	@$< '[full]'

.PHONY: test-cuda-mutations
test-cuda-mutations: $(BUILD)/cuda-tests-float  ## plant bugs in the CUDA kernels and see that tests find them
	@CXX='$(CXX)' FLAGS='$(EMULATED_FLAGS)' LIBS='$(LIBS)' BUILD=$(BUILD) \
	  OBJECTS='$(filter %.o,$(MUTATION_OBJECTS))' tests/cuda/mutations.sh

.PHONY: cuda-sanitize
cuda-sanitize: $(BUILD)/cuda-tests-device  ## look for errors of the kernels on a GPU, with compute-sanitizer
	@for tool in memcheck racecheck initcheck synccheck; do \
	  compute-sanitizer --tool $$tool --error-exitcode 1 $< || exit; \
	done

.PHONY: registers
registers: $(CUDA_OBJECTS)  ## print the CUDA kernels' registers and shared memory, by architecture
	@tests/test_registers.sh $(BUILD)

.PHONY: gradcheck
gradcheck: $(BUILD)/gradcheck  ## print how exact each op's and each scheme's derivatives are
	@output=$$($(BUILD)/gradcheck '[table]'); status=$$?; \
	printf '%s\n' "$$output" | grep -v -e '^Filters' -e '^==*$$' -e '^All tests' -e '^Randomness' \
	  -e '^cases: '; \
	exit $$status

.PHONY: lint
lint:  ## check layering, names, sizes and formatting
	@tests/lint.sh

.PHONY: format
format:  ## lay out all sources with clang-format
	@clang-format -i $$(git ls-files "*.cpp" "*.h" "*.cu" "*.cuh")

SCHEMES := sinusoidal,rotary,alibi,sandwich

.PHONY: demo
demo: $(BUILD)/farsight  ## train four schemes on the embedded corpus and compare them
	@$(BUILD)/farsight prepare --embedded --out $(RUNS)/demo/data
	@$(BUILD)/farsight sweep --config configs/demo.toml --data $(RUNS)/demo/data \
	  --out $(RUNS)/demo --vary position=$(SCHEMES)

# SCALE multiplies the training steps of the paper's experiments; DATA is a folder of token files
# to run them on, by default the embedded corpus.
SCALE ?= 1
EXPERIMENTS := schemes shift slope window dbar

.PHONY: paper
paper: $(BUILD)/farsight  ## run the paper's experiments; SCALE=4 trains longer
	@[ -n "$(DATA)" ] || $(BUILD)/farsight prepare --embedded --out $(RUNS)/paper/data
	@for experiment in $(EXPERIMENTS); do \
	  echo; echo "==== $$experiment ===="; \
	  $(BUILD)/farsight sweep --config configs/paper/base.toml configs/paper/$$experiment.toml \
	    --steps $(shell awk 'BEGIN { printf "%d", 1000 * $(SCALE) }') \
	    --data $(or $(DATA),$(RUNS)/paper/data) --out $(RUNS)/paper/$$experiment || exit; \
	done

.PHONY: wikitext103
wikitext103: $(BUILD)/farsight  ## train on WikiText-103 (WIKITEXT103=folder uses what is there)
	@configs/wikitext103.sh $(BUILD)/farsight $(RUNS)/wikitext103 "$(WIKITEXT103)"

.PHONY: bench
bench: $(BUILD)/farsight  ## time steps, matrix products and attention, in each precision of the machine
	@for precision in fp32 bf16; do \
	  $(BUILD)/farsight bench --mode gemm --shape S --precision $$precision >/dev/null || break; \
	  for shape in S M L; do for mode in train eval gemm; do \
	    echo; echo "==== $$mode $$shape, $$precision ===="; \
	    $(BUILD)/farsight bench --mode $$mode --shape $$shape --precision $$precision || exit; \
	  done; done; \
	done; \
	echo; echo "==== attention ===="; \
	$(BUILD)/farsight bench --mode attention --lengths 512,2048,8192,65536 --steps 3

.PHONY: clean
clean:  ## remove everything built
	rm -rf build

.PHONY: help
help:  ## list the targets
	@sed -n 's/^\([a-z0-9-]*\):.*  ## \(.*\)/  make \1|\2/p' Makefile | \
	  while IFS='|' read -r target text; do printf '%-28s %s\n' "$$target" "$$text"; done
