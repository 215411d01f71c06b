// The words of the embedded corpus: see encyclopaedia_words.h.
#include "data/encyclopaedia_words.h"

#include <algorithm>
#include <set>

namespace farsight {
namespace {

std::vector<std::string_view> split(std::string_view text) {
  std::vector<std::string_view> words;
  while (!text.empty()) {
    const size_t space = std::min(text.find(' '), text.size());
    words.push_back(text.substr(0, space));
    text.remove_prefix(std::min(space + 1, text.size()));
  }
  return words;
}

std::vector<std::vector<std::string_view>> split_each(
    std::initializer_list<std::string_view> texts) {
  std::vector<std::vector<std::string_view>> result;
  for (const std::string_view text : texts) result.push_back(split(text));
  return result;
}

/// Every beginning with every ending.
std::vector<std::string> join(std::string_view beginnings, std::string_view endings) {
  std::vector<std::string> names;
  for (const std::string_view beginning : split(beginnings)) {
    for (const std::string_view ending : split(endings))
      names.push_back(std::string(beginning) + std::string(ending));
  }
  return names;
}

}  // namespace

const std::vector<std::string>& people() {
  static const auto all = join("Bran Cor Dal Er Fen Gar Hal Is", "nor eth wyn dan ric");
  return all;
}

const std::vector<std::string>& places() {
  static const auto all = join("Ald Bex Cald Dun Ost Fal Glen Har", "er ford ham ley mere");
  return all;
}

const std::vector<std::string_view>& things() {
  static const auto all = split(
      "banner bell book chalice clock casket drum horn key lamp map mirror ring shield sword "
      "tapestry");
  return all;
}

const std::vector<std::string>& song_keys() {
  static const auto all = join("Sel Tor Umb Ves Xan Yl Zer Quin Rha Thal Vor Wyr",
                               "ara eon ine ith ora una el os ymn ax");
  return all;
}

const std::vector<std::string_view>& verse_words() {
  static const auto all = [] {
    std::set<std::string_view> words(qualities().begin(), qualities().end());
    for (const Topic& topic : topics()) {
      words.insert(topic.nouns.begin(), topic.nouns.end());
      words.insert(topic.verbs.begin(), topic.verbs.end());
    }
    return std::vector<std::string_view>(words.begin(), words.end());
  }();
  return all;
}

const std::vector<Topic>& topics() {
  static const std::vector<Topic> all{
      {split("ship harbour storm captain sail fleet anchor voyage mast deck rope sailor"),
       split("sailed drifted returned sank landed turned")},
      {split("soldier battle wall camp regiment siege general retreat trench scout flag treaty"),
       split("attacked waited fought advanced surrendered fell")},
      {split("song choir singer opera concert piano violin hymn ballad tune verse stage"),
       split("sang performed played began ended rested")},
      {split("river bird tree flower meadow nest insect seed root feather shore winter"),
       split("grew lived slept bloomed fed flew")},
      {split("king queen court crown throne law council noble heir palace duke decree"),
       split("ruled married reigned resigned died inherited")},
      {split("star moon comet planet orbit telescope eclipse lens chart signal sky dome"),
       split("rose shone appeared moved vanished glowed")},
      {split("mill farm market field barn merchant harvest plough cart trader price farmer"),
       split("worked sold paid bought produced stored")},
      {split("tower bridge stone roof window builder cellar mason column vault stair brick"),
       split("stood opened burned closed collapsed leaned")}};
  return all;
}

const std::vector<std::string_view>& title() {
  static const auto words = split("= The NOUN of PLACE =");
  return words;
}

const std::vector<std::vector<std::string_view>>& sentences() {
  static const auto all = split_each(
      {"PERSON came to PLACE with the THING .", "The THING was kept at PLACE by PERSON .",
       "In PLACE , PERSON VERB near the QUALITY NOUN .", "The NOUN of PLACE was known to PERSON .",
       "PERSON found the THING in a QUALITY NOUN .",
       "It is said that PERSON VERB when the NOUN VERB .", "PERSON and PERSON met at PLACE .",
       "The QUALITY NOUN VERB , and the THING was lost .", "PERSON gave the THING to PERSON .",
       "After NUMBER years the NOUN of PERSON VERB again .",
       "The THING and the THING were gifts of PERSON .",
       "There were NUMBER PLURAL in PLACE at that time .",
       "From PLACE to PLACE the PLURAL were QUALITY .", "The NOUN was QUALITY , but PERSON VERB .",
       "Only NUMBER of the PLURAL VERB before the QUALITY NOUN .",
       "Many PLURAL VERB in the QUALITY NOUN , as PERSON wrote .",
       "A QUALITY NOUN VERB there for NUMBER days ."});
  return all;
}

const std::vector<std::vector<std::string_view>>& singing() {
  static const auto all =
      split_each({"They sang SONG .", "The choir began SONG .", "PERSON knew SONG ."});
  return all;
}

const std::vector<std::string_view>& qualities() {
  static const auto all = split(
      "great small dark long famous lost rare red white northern heavy quiet broken rich strange "
      "narrow golden cold deep simple final bright hidden poor proud slow wide young");
  return all;
}

const std::vector<std::string_view>& numbers() {
  static const auto all = split(
      "two three four five six seven eight nine ten twelve twenty thirty forty fifty sixty eighty "
      "ninety hundred");
  return all;
}

}  // namespace farsight
