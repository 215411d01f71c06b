// The words of the embedded corpus: see encyclopaedia_words.h.
#include "data/encyclopaedia_words.h"


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

const std::vector<NameClass>& name_classes() {
  static const std::vector<NameClass> classes{
      {join("Bran Cor Dal Er Fen Gar Hal Is Jor Kel Lor Mar", "nor eth is wyn dan ia ric a"),
       split("Keld Marsh Thorne Vale Ashby Crane Holt Penn Rook Sterling Wren Yarrow Hollis Drake "
             "Frost Grey")},
      {join("Ald Bex Cald Dun Ost Fal Glen Har Ing Kirk Lang Mel", "er ford ham ley mere stow ton"),
       split("Bay Bridge Castle Cross Downs Falls Forest Gate Harbour Heath Hill Island Lake "
             "Market Point Valley")},
      {join("Sel Tor Umb Ves Xan Yl Zer Quin", "ara eon ine ith ora una el"),
       split("banner bell book chalice clock crown drum horn key lamp map mirror ring shield sword "
             "tapestry")}};
  return classes;
}

const std::vector<Topic>& topics() {
  static const std::vector<Topic> all{
      {split("ship sea crew captain sail harbour storm mast voyage fleet anchor deck rope tide coast "
             "cargo"),
       split("sailed drifted sank landed turned returned")},
      {split("army battle soldier siege general wall cavalry treaty victory camp retreat scout "
             "trench flag truce march"),
       split("attacked fought surrendered advanced waited fell")},
      {split("song music choir melody singer opera concert stage audience chorus piano violin hymn "
             "ballad tune verse"),
       split("sang performed played echoed began ended")},
      {split("river bird tree species nest meadow flower fish insect wolf seed root feather shore "
             "marsh winter"),
       split("grew flew lived bloomed fed slept")},
      {split("king court crown throne queen law council noble heir palace duke feast decree oath "
             "tax prince"),
       split("ruled married died reigned inherited resigned")},
      {split("star planet telescope orbit moon comet light sky observatory eclipse lens theory "
             "chart signal dust sun"),
       split("shone rose appeared vanished moved glowed")},
      {split("mill grain market bread farm field cattle price harvest plough barn merchant trade "
             "wool cart salt"),
       split("sold bought worked paid produced stored")},
      {split("tower stone church arch bridge builder roof window chapel column brick cellar gate "
             "mason vault stair"),
       split("stood collapsed opened burned closed leaned")}};
  return all;
}

const std::vector<std::vector<std::string_view>>& sentences() {
  static const auto all = [] {
    std::vector<std::vector<std::string_view>> result;
    for (const char* sentence :
         {"PERSON came to PLACE with the THING .",
          "The THING was kept at PLACE by PERSON .",
          "In PLACE , PERSON VERB near the QUALITY NOUN .",
          "The NOUN of PLACE was known to PERSON .",
          "PERSON found the THING in a QUALITY NOUN .",
          "It is said that PERSON VERB when the NOUN VERB .",
          "The QUALITY NOUN VERB , and the THING was lost .",
          "After NUMBER years the NOUN of PERSON VERB again .",
          "PERSON and PERSON met at PLACE .",
          "There were NUMBER NOUN in PLACE at that time .",
          "The NOUN was QUALITY , but PERSON VERB .",
          "From PLACE to PLACE the NOUN was QUALITY .",
          "NUMBER of the NOUN VERB before the QUALITY NOUN VERB .",
          "The THING and the THING were gifts of PERSON .",
          "Many a NOUN VERB in the QUALITY NOUN .",
          "A QUALITY NOUN VERB there for NUMBER days ."})
      result.push_back(split(sentence));
    return result;
  }();
  return all;
}

const std::vector<std::string_view>& qualities() {
  static const auto all = split(
      "old great small dark long famous lost rare early red white northern heavy quiet broken rich "
      "strange narrow golden cold deep simple final bright hidden poor proud slow wide young");
  return all;
}

const std::vector<std::string_view>& numbers() {
  static const auto all = split(
      "two three four five six seven eight nine ten twelve twenty thirty forty fifty sixty eighty "
      "ninety hundred");
  return all;
}

}  // namespace farsight
