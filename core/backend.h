// The kernels that a device has to provide, on raw pointers to its own memory.
//
// Conventions: outputs first, then inputs, then sizes. A kernel without a suffix overwrites its
// outputs; `*_backward` ADDS to its outputs (but to a GradientSum only if something is there), and
// a null output means "not wanted". All matrices are row-major. Sizes are named by letters
// throughout:
//   B sequences, T tokens of each (Tq queries, Tk keys), C width, H heads, D = C / H,
//   V vocabulary, N = rows of a row-wise kernel (usually B * T), n = plain number of elements.
// One thread issues kernels; a kernel may use as many as it likes. Same inputs and same number of
// threads give the same bits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/buffer.h"
#include "core/random.h"
#include "core/real.h"

namespace farsight {

class Backend;

/// Free lists of a backend's memory by exact size.
class Pool {
 public:
  explicit Pool(Backend& backend) : backend_(backend) {}
  void* take(size_t bytes);
  void give_back(void* data, size_t bytes) noexcept;
  /// Returns what nobody uses to the system, pieces of `least` bytes and more.
  void trim(size_t least = 0);
  /// Bytes taken from the system so far and not returned; those of them that nobody uses.
  size_t held_bytes() const { return held_bytes_; }
  /// The most that it has held.
  size_t peak_bytes() const { return peak_bytes_; }
  size_t idle_bytes() const;

 private:
  Backend& backend_;
  std::map<size_t, std::vector<void*>> free_;
  size_t held_bytes_ = 0, peak_bytes_ = 0;
};

/// Elementwise functions of one argument.
enum class Map { kGelu, kGeluTanh, kRelu, kExp, kLog1p, kSigmoid };

/// Layouts of the pairs that a rotation turns: (0,1), (2,3), … or (0, D/2), (1, D/2 + 1), …
enum class PairLayout { kInterleaved, kHalves };

/// Where the kernels find what is added to the scaled scores of head h, the call's query i and the
/// key at position j: base[h * head_stride + i * row_stride + j]. A dense (H, Tq, Tk) bias has row
/// stride Tk; a relative one, whose rows are shifted copies of each other, has row stride -1.
/// A null base means no bias.
struct BiasView {
  const real* base = nullptr;
  real* grad = nullptr;  // same strides; null = not wanted
  int64_t head_stride = 0;
  int64_t row_stride = 0;
};

/// Sizes and masks of an attention call. Query row r stands at position offset + r and sees the
/// keys at positions max(0, p - window + 1) … p.
struct AttentionSizes {
  int64_t B, Tq, Tk, H, D;
  int64_t offset;                    // position of the first query; offset + Tq <= Tk
  real scale;                        // multiplies q·k before the bias is added
  const int32_t* windows = nullptr;  // (H) in this backend's memory, 0 = unlimited; null = all 0
};

/// The keys and values that one head of a generating model remembers, in rings: the row of position
/// p is p % capacity. Both (B, capacity, D). The structures themselves lie in host memory.
struct HeadCache {
  real* keys;
  real* values;
  int64_t capacity;
};

/// What a backend makes of a matrix that it rounds for products: empty until then. A kernel whose
/// result will be read by products takes one, or null, to fill it on the way.
struct RoundedCopy {
  Buffer memory;
  int64_t columns = 0;  // of the matrix
};

/// An operand of a product: its elements, and where a backend that rounds them may keep the copy,
/// for the next product of the same elements. Null = they are in one product only.
struct Operand {
  Operand(const real* elements, RoundedCopy* copy = nullptr) : data(elements), rounded(copy) {}
  const real* data;
  RoundedCopy* rounded;
};

/// Where a kernel puts its share of a gradient: to = beta * to + share. beta is 1, or 0 for the
/// first share, which takes no notice of what was there.
struct GradientSum {
  real* to = nullptr;  // null = not wanted
  real beta = 1;
  explicit operator bool() const { return to != nullptr; }
};

/// What a matrix product does with its result c (M, N) while it has it at hand, each where it is
/// not null.
struct Epilogue {
  const real* bias = nullptr;      // (N), added to every row
  const real* residual = nullptr;  // (M, N), added
  real* gelu = nullptr;            // (M, N), gets GELU of the sum; may be c itself
  Map kind = Map::kGelu;           // or kGeluTanh
  RoundedCopy* rounded = nullptr;  // of GELU's result
};

/// Constants of one AdamW step (Loshchilov & Hutter 2019), bias corrections already computed.
struct AdamWStep {
  real rate, beta1, beta2, epsilon, decay;
  real correction1, correction2;  // 1 - beta^t
  real max_norm;                  // gradients are scaled down to this global norm; 0 = never
};

/// What matrix products round their inputs to; sums are always made in fp32.
enum class Precision { kFp32, kTf32, kBf16 };

class Backend {
 public:
  virtual ~Backend() = default;
  Pool& pool() { return pool_; }
  const Pool& pool() const { return pool_; }

  /// The device in a few words, for people.
  virtual std::string description() const = 0;
  /// Bytes of memory that a job may hope for, those that idle in the pool among them.
  virtual size_t memory_bytes() const = 0;
  /// The most of that memory that this process has held.
  virtual size_t peak_bytes() const { return pool_.peak_bytes(); }
  /// How many numbers an op may take as working memory in order to go on in few large steps.
  virtual int64_t workspace() const = 0;
  /// Whether products now leave rounded copies with their operands.
  virtual bool keeps_rounded() const { return false; }
  /// From now on; fp32 before. Throws Error if the device cannot.
  virtual void set_precision(Precision precision) = 0;
  /// Returns when everything that was asked for is done.
  virtual void wait() = 0;
  /// Floating-point operations of matrix products so far, and of attention where a profile is
  /// taken.
  double flops() const { return flops_; }
  void count_flops(double flops) { flops_ += flops; }

  // Memory -------------------------------------------------------------------------------------
  /// Memory aligned to 64 bytes at least. Throws Error when there is no more.
  virtual void* allocate(size_t bytes) = 0;
  virtual void release(void* data, size_t bytes) = 0;
  virtual void upload(void* to, const void* host, size_t bytes) = 0;
  virtual void download(void* host, const void* from, size_t bytes) = 0;
  virtual void copy(real* y, const real* x, int64_t n) = 0;
  virtual void fill(real* y, real value, int64_t n) = 0;

  // Matrix product -----------------------------------------------------------------------------
  /// c (M, N) = alpha * op(a) op(b) + beta * c, with the epilogue; op(a) (M, K), op(b) (K, N); `ta`
  /// says that a is stored (K, M), `tb` that b is stored (N, K). Dense rows.
  virtual void gemm(real* c, const Operand& a, const Operand& b, bool ta, bool tb, int64_t M,
                    int64_t N, int64_t K, real alpha, real beta, const Epilogue& epilogue = {}) = 0;

  // Elementwise --------------------------------------------------------------------------------
  virtual void add(real* y, const real* a, const real* b, int64_t n) = 0;
  virtual void multiply(real* y, const real* a, const real* b, int64_t n) = 0;
  virtual void scale(real* y, const real* x, real alpha, int64_t n) = 0;
  /// y += alpha * x
  virtual void accumulate(real* y, const real* x, real alpha, int64_t n) = 0;
  /// y += a * b
  virtual void multiply_accumulate(real* y, const real* a, const real* b, int64_t n) = 0;
  /// y += s[0]
  virtual void accumulate_scalar(real* y, const real* s, int64_t n) = 0;
  virtual void map(Map kind, real* y, const real* x, int64_t n) = 0;
  /// `dx.to` may be dy itself if dx.beta is 0.
  virtual void map_backward(Map kind, GradientSum dx, const real* dy, const real* x, int64_t n) = 0;
  /// y = x / (1 - p) where the stream's number is >= p, else 0.
  virtual void dropout(real* y, const real* x, real p, Stream stream, int64_t n) = 0;
  virtual void dropout_backward(real* dx, const real* dy, real p, Stream stream, int64_t n) = 0;

  // Rows ---------------------------------------------------------------------------------------
  /// Every row of y (N, C) = b (C).
  virtual void broadcast_rows(real* y, const real* b, int64_t N, int64_t C) = 0;
  /// db (C) += sum of the rows of dy (N, C).
  virtual void broadcast_rows_backward(real* db, const real* dy, int64_t N, int64_t C) = 0;
  /// y = (x - mean) * rstd * gain + shift per row of x (N, C); keeps mean and rstd (N).
  virtual void layer_norm(real* y, real* mean, real* rstd, RoundedCopy* rounded, const real* x,
                          const real* gain, const real* shift, int64_t N, int64_t C,
                          real epsilon) = 0;
  virtual void layer_norm_backward(real* dx, real* dgain, real* dshift, const real* dy,
                                   const real* x, const real* gain, const real* mean,
                                   const real* rstd, int64_t N, int64_t C) = 0;
  /// y (N, C): row n is table row ids[n].
  virtual void embedding(real* y, const real* table, const int32_t* ids, int64_t N, int64_t C) = 0;
  /// dtable (V, C): row ids[n] += row n of dy (N, C).
  virtual void embedding_backward(real* dtable, const real* dy, const int32_t* ids, int64_t N,
                                  int64_t V, int64_t C) = 0;

  // Attention ----------------------------------------------------------------------------------
  /// Turns the pairs of each head of x (B, T, H, D) by the angles of its position. `table`
  /// (T, D / 2, 2) holds the cosine and sine of each, times a factor if pairs are scaled too.
  virtual void rotate(real* y, const real* x, const real* table, PairLayout layout, int64_t B,
                      int64_t T, int64_t H, int64_t D) = 0;
  virtual void rotate_backward(GradientSum dx, const real* dy, const real* table, PairLayout layout,
                               int64_t B, int64_t T, int64_t H, int64_t D) = 0;
  /// y = softmax(scale * q kᵀ + bias) v over the keys that each query sees; q, y (B, Tq, H, D);
  /// k, v (B, Tk, H, D); lse (B, H, Tq) = log of each row's softmax denominator.
  virtual void attention(real* y, real* lse, const Operand& q, const Operand& k, const Operand& v,
                         const BiasView& bias, const AttentionSizes& sizes) = 0;
  /// dk and dv are made before dq.
  virtual void attention_backward(GradientSum dq, GradientSum dk, GradientSum dv, const Operand& dy,
                                  const real* y, const real* lse, const Operand& q,
                                  const Operand& k, const Operand& v, const BiasView& bias,
                                  const AttentionSizes& sizes) = 0;
  /// mass (H, Tk): the probability that goes to the key d positions before its query, and entropy
  /// (H) of the probabilities in nats; both summed over sequences and over queries `first` and
  /// later. lse as attention() leaves it.
  virtual void attention_mass(real* mass, real* entropy, const real* lse, const real* q,
                              const real* k, const BiasView& bias, const AttentionSizes& sizes,
                              int64_t first) = 0;
  /// Puts the keys and values (B, T, H, D) of positions `first` … `first + T - 1` into the caches
  /// of H heads; of more than a head's capacity, the last ones.
  virtual void cache_store(const HeadCache* caches, const real* k, const real* v, int64_t first,
                           int64_t B, int64_t T, int64_t H, int64_t D) = 0;
  /// Into the first rows of each sequence of k, v (B, T, H, D): what the caches hold of positions
  /// `first` … `end - 1`, the last that they have seen; 0 where a head's ring has let go of it.
  virtual void cache_load(real* k, real* v, const HeadCache* caches, int64_t first, int64_t end,
                          int64_t B, int64_t T, int64_t H, int64_t D) = 0;
  /// y (B, 1, H, D): attention of one query (B, 1, H, D) at `position` to the latest keys that its
  /// head remembers, its own among them. Row 0 of the bias is the query's.
  virtual void cache_attention(real* y, const real* q, const HeadCache* caches,
                               const BiasView& bias, int64_t position, int64_t B, int64_t H,
                               int64_t D) = 0;

  // Loss and optimizer -------------------------------------------------------------------------
  /// loss (N) = lse - logits[target], lse (N) = log sum exp of each row of logits (N, V); correct
  /// (N, may be null) = 1 where the target has the largest logit, else 0.
  virtual void cross_entropy(real* loss, real* lse, real* correct, const real* logits,
                             const int32_t* targets, int64_t N, int64_t V) = 0;
  /// In place: logits become dlogits = dloss[n] * (softmax - one-hot of the target).
  virtual void cross_entropy_gradient(real* logits, RoundedCopy* rounded, const real* dloss,
                                      const real* lse, const int32_t* targets, int64_t N,
                                      int64_t V) = 0;
  /// y[0] = sum of x.
  virtual void sum(real* y, const real* x, int64_t n) = 0;
  /// y[0] = sum of x².
  virtual void sum_squares(real* y, const real* x, int64_t n) = 0;
  /// One step on p with moments m, v, which clears the gradient g; `norm_squared` (1) is the global
  /// gradient norm, squared. If that is not finite, p, m and v stay as they are.
  virtual void adamw(real* p, real* m, real* v, real* g, const real* norm_squared, int64_t n,
                     const AdamWStep& step) = 0;

 private:
  Pool pool_{*this};
  double flops_ = 0;
};

/// The backend that runs everywhere: OpenBLAS and OpenMP (core/cpu/).
Backend& cpu_backend();

/// A device that the program can use because its backend is linked in; registers itself by the name
/// that --device takes. `open` throws Error, saying why, if the machine has none.
struct BackendEntry {
  enum Choice { kAutomatic, kByNameOnly };  // whether "auto" may choose it

  BackendEntry(std::string name, Backend& (*open)(), Choice choice = kAutomatic);
  std::string name;
  Backend& (*open)();
  Choice choice;
};

/// The backend for "cpu", "cuda" or "auto": another device where there is one, else the CPU. Throws
/// Error if the device cannot be used.
Backend& open_backend(const std::string& device);

}  // namespace farsight
