// What a context costs: see cost.h.
#include "train/cost.h"

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <iomanip>
#include <set>

#include "core/error.h"
#include "core/file.h"
#include "train/checkpoint.h"
#include "train/csv.h"
#include "train/evaluate.h"
#include "train/generate.h"
#include "train/gnuplot.h"
#include "train/log.h"
#include "train/table.h"

namespace farsight {
namespace {

/// Runs `job` in a process of its own and returns the JSON that it makes. Throws Error with the
/// message of an error there.
nlohmann::json in_own_process(const std::function<nlohmann::json()>& job) {
  int ends[2];
  check(pipe(ends) == 0, "no pipe to a process can be made");
  const pid_t child = fork();
  check(child >= 0, "no process can be started");
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);  // it does not outlive the program
    close(ends[0]);
    nlohmann::json result;
    try {
      result = job();
    } catch (const std::exception& error) {
      result = {{"error", error.what()}};
    }
    const std::string text = result.dump();
    const bool written = write(ends[1], text.data(), text.size()) >= 0;
    _exit(written ? 0 : 1);  // without the parent's destructors and buffers
  }
  close(ends[1]);
  std::string text;
  char piece[4096];
  for (ssize_t count; (count = read(ends[0], piece, sizeof piece)) > 0;) text.append(piece, count);
  close(ends[0]);
  waitpid(child, nullptr, 0);
  const nlohmann::json result = nlohmann::json::parse(text, nullptr, false);
  check(!result.is_discarded(), "a measurement was ended by the system; was memory short?");
  check(!result.contains("error"), result.value("error", ""));
  return result;
}

TrainedModel model_of(const CostCase& one, const TokenSource& text, int64_t length,
                      Backend& backend) {
  TrainedModel trained = load_model(one.checkpoint, text, backend);
  if (one.windows.window == "full")
    trained.model->set_windows(LanguageModel::Windows(trained.config.model.blocks));
  else
    choose_windows(*trained.model, one.windows, length, &text);
  return trained;
}

/// Throws Error if a case cannot be measured up to `length` tokens, those generated among them.
nlohmann::json check_case(const CostCase& one, const TokenSource& text, int64_t length,
                          Backend& backend) {
  const TrainedModel trained = model_of(one, text, length, backend);
  trained.model->require_reach(length);
  return nlohmann::json::object();
}

nlohmann::json measure_evaluation(const CostCase& one, const TokenSource& text, int64_t length,
                                  int64_t targets, Backend& backend) {
  const TrainedModel trained = model_of(one, text, length, backend);
  EvaluationOptions options;
  options.length = length;
  options.max_targets = std::max(length, targets / length * length);
  const auto start = std::chrono::steady_clock::now();
  const Evaluation e = evaluate(*trained.model, text, options);
  const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
  return {{"ppl", e.token_ppl},
          {"targets", e.targets},
          {"speed", static_cast<double>(e.targets) / time.count()},
          {"peak", peak_mib(backend)}};
}

nlohmann::json measure_generation(const CostCase& one, const TokenSource& text, int64_t length,
                                  int64_t tokens, Backend& backend) {
  const TrainedModel trained = model_of(one, text, length + tokens, backend);
  std::vector<int32_t> prompt(length);
  text.read(0, prompt);
  GenerateOptions options;
  options.tokens = tokens + 1;  // so that there are as many passes behind the prompt's
  const Generated generated =
      generate(*trained.model, prompt, options, [](int32_t) { return true; });
  return {{"speed", generated.tokens_per_second()},
          {"cache", generated.cache_bytes / (1 << 20)},
          {"peak", peak_mib(backend)}};
}

Plot cost_plot(const std::vector<Cost>& costs, const std::string& title, const std::string& y_label,
               double (*value)(const Cost&)) {
  Plot plot;
  plot.title = title;
  plot.x_label = "context (tokens)";
  plot.y_label = y_label;
  plot.log_y = true;
  for (const Cost& cost : costs) {
    if (plot.curves.empty() || plot.curves.back().label != cost.label) {
      plot.curves.emplace_back();
      plot.curves.back().label = cost.label;
    }
    const auto x = static_cast<double>(cost.length);
    plot.curves.back().points.emplace_back(x, value(cost));
    if (!std::count(plot.x_ticks.begin(), plot.x_ticks.end(), x)) plot.x_ticks.push_back(x);
  }
  std::sort(plot.x_ticks.begin(), plot.x_ticks.end());
  return plot;
}

}  // namespace

CostCase cost_case(const std::string& text, double epsilon) {
  const size_t equals = text.rfind('=');
  check(equals != std::string::npos && equals > 0 && equals + 1 < text.size(), "'", text,
        "' is no case; write CHECKPOINT=WINDOW, for example ",
        "runs/demo/alibi/checkpoint.safetensors=auto");
  const std::string path = text.substr(0, equals), window = text.substr(equals + 1);
  std::string label = label_of(std::filesystem::absolute(path).parent_path()) + " " + window;
  std::replace(label.begin(), label.end(), ',', '/');  // it stands in a CSV
  return {label, path, {window, epsilon}};
}

std::vector<Cost> measure_costs(const std::vector<CostCase>& cases, const CostOptions& options,
                                const TokenSource& text, std::ostream& say) {
  check(!options.lengths.empty(), "no lengths; pass for example --lengths 1024,4096,16384");
  check(options.generated > 0, "the number of tokens to generate must be positive, not ",
        options.generated);
  check(options.targets > 0, "the number of targets must be positive, not ", options.targets);
  std::set<std::string> labels;
  for (const CostCase& one : cases)
    check(labels.insert(one.label).second, "two cases are called ", one.label,
          ", after the run's folder and the window");
  for (const int64_t length : options.lengths)
    check(length > 0 && length < text.size, "a length must be 1 to ", text.size - 1,
          ", what the text has, not ", length);
  const auto measure = [&](const auto& job) {
    return in_own_process([&] { return job(use_device(options.device)); });
  };
  const int64_t longest = *std::max_element(options.lengths.begin(), options.lengths.end());
  for (const CostCase& one : cases)
    measure([&](Backend& backend) {
      return check_case(one, text, longest + options.generated, backend);
    });
  size_t widest = 4;
  for (const CostCase& one : cases) widest = std::max(widest, one.label.size());
  const auto name = [&](const std::string& label) {
    return label + std::string(widest - label.size(), ' ');
  };
  say << name("") << "            whole windows                         generating\n"
      << name("case") << "  length   token ppl  tokens/s  peak MiB  tokens/s  cache MiB  peak MiB\n"
      << std::fixed;
  std::vector<Cost> costs;
  for (const CostCase& one : cases) {
    for (const int64_t length : options.lengths) {
      say.flush();  // the children must not inherit what is not written yet
      const auto evaluated = measure([&](Backend& backend) {
        return measure_evaluation(one, text, length, options.targets, backend);
      });
      const auto generated = measure([&](Backend& backend) {
        return measure_generation(one, text, length, options.generated, backend);
      });
      const Cost& cost = costs.emplace_back(
          Cost{one.label, length, evaluated["targets"], evaluated["ppl"], evaluated["speed"],
               evaluated["peak"], generated["speed"], generated["cache"], generated["peak"]});
      say << name(cost.label) << std::setw(8) << length << std::setprecision(3) << std::setw(12)
          << cost.token_ppl << std::setprecision(0) << std::setw(10) << cost.eval_tokens_per_second
          << std::setw(10) << cost.eval_peak_mib << std::setw(10) << cost.generate_tokens_per_second
          << std::setprecision(1) << std::setw(11) << cost.cache_mib << std::setw(10)
          << cost.generate_peak_mib << '\n';
    }
  }
  say << std::defaultfloat;
  return costs;
}

void write_costs(std::ostream& stream, const std::vector<Cost>& costs) {
  stream << "case,length,targets,token_ppl,eval_tokens_per_second,eval_peak_mib,"
            "generate_tokens_per_second,cache_mib,generate_peak_mib\n"
         << std::setprecision(9);
  for (const Cost& c : costs)
    stream << c.label << ',' << c.length << ',' << c.targets << ',' << c.token_ppl << ','
           << c.eval_tokens_per_second << ',' << c.eval_peak_mib << ','
           << c.generate_tokens_per_second << ',' << c.cache_mib << ',' << c.generate_peak_mib
           << '\n';
}

std::vector<std::pair<std::string, Plot>> cost_plots(const std::vector<Cost>& costs) {
  return {{"cost_eval", cost_plot(costs, "Evaluation", "milliseconds per token",
                                  [](const Cost& c) { return 1e3 / c.eval_tokens_per_second; })},
          {"cost_generate",
           cost_plot(costs, "Generation", "milliseconds per token",
                     [](const Cost& c) { return 1e3 / c.generate_tokens_per_second; })},
          {"cost_cache", cost_plot(costs, "Keys and values in memory", "MiB",
                                   [](const Cost& c) { return c.cache_mib; })}};
}

std::vector<Cost> read_costs(const std::filesystem::path& path) {
  const Csv csv = read_csv(path);
  std::vector<Cost> costs;
  for (size_t row = 0; row < csv.rows(); ++row)
    costs.push_back({csv.text(row, "case"), csv.integer(row, "length"), csv.integer(row, "targets"),
                     csv.number(row, "token_ppl"), csv.number(row, "eval_tokens_per_second"),
                     csv.integer(row, "eval_peak_mib"),
                     csv.number(row, "generate_tokens_per_second"), csv.number(row, "cache_mib"),
                     csv.integer(row, "generate_peak_mib")});
  return costs;
}

std::string write_cost_report(const std::filesystem::path& folder, const std::vector<Cost>& costs) {
  write_file(folder / "cost.csv", [&](auto& stream) { write_costs(stream, costs); });
  std::string files = (folder / "cost.csv").string() + "\n";
  for (const auto& [name, plot] : cost_plots(costs))
    files += pictures_of(folder / name, write_plot(folder / name, plot));
  return files;
}

}  // namespace farsight
