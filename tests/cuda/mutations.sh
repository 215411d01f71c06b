#!/usr/bin/env bash
# Plants one bug after another in the CUDA kernels and demands that the tests on the emulator find each:
# a check of the checks. `make test-cuda-mutations` runs it.
set -u
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
found=0 missed=0

# A file of cuda/, an expression for sed that changes it, and the .cu that is to be compiled.
plant() {
  local file=$1 change=$2 unit=$3 object log=$folder/log
  rm -rf "$folder/cuda"
  cp -r cuda "$folder/cuda"
  sed -i "$change" "$folder/cuda/$file"
  if cmp -s "cuda/$file" "$folder/cuda/$file"; then
    echo "MISSED  $file: $change: changes nothing; adapt it to the code"
    missed=$((missed + 1))
    return
  fi
  object=$BUILD/emulated/float/cuda/$unit.o
  # shellcheck disable=SC2086
  $CXX -I"$folder" $FLAGS -w -x c++ -c "$folder/cuda/$unit.cu" -o "$folder/unit.o" &&
    $CXX -o "$folder/tests" "$folder/unit.o" ${OBJECTS/"$object"/} $LIBS || exit 1
  if timeout 120 "$folder/tests" '~[emulator]~[full]' >"$log" 2>&1; then
    echo "MISSED  $file: $change"
    missed=$((missed + 1))
  else
    echo "found   $file: $change"
    grep -m 1 -oE 'emulator: [a-z ]*' "$log" | sed 's/^/        /'
    found=$((found + 1))
  fi
}

# Barriers that are missing.
plant gemm_simt.cuh '/LoadB::store(b_tiles\[buffer\], next_b);/{n;d}' gemm
plant gemm_bf16.cuh '/LoadB::store(b_tiles\[buffer\], next_b);/{n;d}' gemm
plant gemm_tensor.cuh '/__syncthreads();/d' gemm
plant gemm_tensor.cuh 's/cp_async_wait<kStages - 2>/cp_async_wait<kStages - 1>/' gemm
plant attention_fp32.cuh '/all are done with the tiles/d' attention
plant attention_fp32.cuh "/the probabilities take the keys' place/d" attention
plant attention_bf16.cuh '/all are done with those before/d' attention
plant rows.cu '/__syncthreads();/d' rows
plant norm.cu '/__syncthreads();/d' norm
plant kernel.h '/__syncthreads();/d' loss
plant attention_bf16.cuh '/cp_async_wait<0>/d' attention
plant attention_backward_bf16.cuh 's/cp_async_wait<0>/cp_async_wait<1>/' attention_backward
plant device.cu '/cudaEventSynchronize/d' device
# Memory that is not one's own.
plant attention_tile.cuh 's/first + i \* step < rows \&\& d < D/d < D/' attention
plant gemm.h 's/if (row >= row_end) return x;//' gemm
plant elementwise.cu 's/first + 4 <= n/first < n/' elementwise
plant norm.cu 's/min(N, first + rows)/first + rows/' norm
# Masks that whole tiles are taken for free of, and copies that are not what they stand for.
plant attention_bf16.cuh 's/key + kKeys - 1 <= lowest/key + kKeys - 2 <= lowest/' attention
plant attention_bf16.cuh 's/key > lowest + kOfWarp - 1 - window)/key >= lowest + kOfWarp - 1 - window)/' attention
plant attention_backward_bf16.cuh 's/lowest > offset + first + kQueries - 1 - window)/lowest >= offset + first + kQueries - 1 - window)/' attention_backward
plant attention_backward_bf16.cuh 's/key > highest - window)/key >= highest - window)/' attention_backward
plant attention_backward_bf16.cuh 's/key + kKeys - 1 <= lowest/key + kKeys - 2 <= lowest/' attention_backward
plant attention_backward_bf16.cuh 's/offset + first >= highest/offset + first + 1 >= highest/' attention_backward
plant attention_backward_bf16.cuh 's/dk.beta, /1, /' attention_backward
plant bf16.h 's/j = count; column + j < stride/j = stride; column + j < stride/' norm
plant fragments.cuh 's/column \/ 8 ^ row/column \/ 8 + row/' gemm
plant gemm.cu 's/copy->columns != columns \&\& /false \&\& /' gemm
# Arithmetic.
plant attention_tile.cuh 's/position - window + 1 > 0 ? position - window + 1/position - window > 0 ? position - window/' attention
plant attention_fp32.cuh 's/total\[r\] \* shrink + /total[r] + /' attention
plant attention_bf16.cuh 's/mixed\[g\]\[d\]\[2 \* r\] \*= shrink;//' attention
plant attention_backward_fp32.cuh 's/(ds\[r\]\[c\] - delta)/ds[r][c]/' attention_backward
plant attention_backward_bf16.cuh 's/(ds\[0\]\[n\]\[e\] - delta\[r\])/ds[0][n][e]/' attention_backward
plant fragments.cuh 's/tile, n + lane % 8 + lane \/ 16 \* 8, k/tile, n + lane % 16, k/' gemm
plant gemm.h 's/kind == Map::kGelu/kind != Map::kGelu/' gemm
plant gemm.cu '/epilogue.gelu\[i\] = y;/d' gemm
plant optimizer.cu 's/(1 - beta2) \* gradient \* gradient/(1 - beta2) * gradient/' optimizer
plant loss.cu 's/v == target ? 1 : 0/0/' loss
plant rows.cu 's/id \/ kWarp == owned/id \/ kWarp <= owned/' rows
plant cache.cu 's/(first + t) % capacity/t % capacity/' cache
plant cache.cu 's/sum += share \* part\[1\]/sum += part[1]/' cache
plant rotation.cu 's/direction \* angle/angle/' rotation
# Sums whose order is left to chance.
plant attention_backward_fp32.cuh 's/sums\[distance\] += sum;/atomicAdd(\&sums[distance % 7], sum);/' attention_backward

echo "$found found, $missed missed"
[ "$missed" = 0 ]
