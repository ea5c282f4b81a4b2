/* SPDX-License-Identifier: Apache-2.0
 * lfm2-model: look into, convert, quantise, measure and debug model files. The option table and main(). */
#include "tools/model_verbs.h"
#include "tools/options.h"

enum {
    INFO = 1 << 0,
    TOKENIZE = 1 << 1,
    DETOKENIZE = 1 << 2,
    TEMPLATE = 1 << 3,
    LOGITS = 1 << 4,
    GENERATE = 1 << 5,
    CONVERT = 1 << 6,
    QUANTIZE = 1 << 7,
    BENCH = 1 << 8,
    VERIFY = 1 << 9
};

static const cli_verb verbs[] = {
    {"info", "[MODEL]", 0, 1, "Print architecture, shapes, quantisation, tokens and memory needed.", NULL},
    {"tokenize", "", 0, 0, "Print the token ids of a text: {\"ids\":[...]}.",
     "No BOS is added. Text that looks like a special token stays text unless --special is given."},
    {"detokenize", "", 0, 0, "Print the text of token ids: {\"text\":\"...\"}.",
     "Special tokens come out as their names unless --skip-special is given. Bytes that form no character come out as U+FFFD."},
    {"template", "", 0, 0, "Print the prompt that a list of messages makes: {\"text\":\"...\"}.",
     "FILE holds a JSON list of {role, content}, or an object with \"messages\" and \"tools\". The start "
     "of the answer is included."},
    {"logits", "", 0, 0, "One forward pass: save the logits of the last position, print the ids and greedy continuation.",
     "The prompt is --ids as they are, or -p TEXT as a user's turn in the chat template (after --system TEXT, if given), behind a "
     "picture or a recording (with neither -p nor --system it is to be transcribed: --system \"Perform ASR.\"). OUT is a "
     "safetensors file with `logits` f32 [vocab]; with a picture or recording also `embed` f32 [n_tok, d_model], and `patches` "
     "f32 [n_patches, values] or `mel` f32 [n_frames, n_mels]. Prints {\"ids\":[...],\"n_media_tokens\":0,\"greedy\":[...]}, where "
     "<image> stands for each embedding of a picture and nothing for those of a recording; end tokens do not end the -n greedy "
     "ids."},
    {"generate", "", 0, 0, "Print text from a prompt.",
     "Without --chat, -p TEXT is continued as it stands, after BOS where the tokenizer wants one. With "
     "--chat it is a user's turn in "
     "the chat template; without -p turns are then read from standard input, one a line, and the "
     "conversation is kept. Sampling not "
     "given as an option is the model card's advice; --temp 0 is plain greedy, what is not given then is off. The text ends with a "
     "line end of its own. The reason it stopped and token counts go to standard error under -v, or into --json."},
    {"convert", "MODEL OUT.gguf", 2, 2, "Write a checkpoint as GGUF, in another element type.",
     "Takes safetensors (a folder or file) and GGUF. Vectors and convolution taps stay F32. Of checkpoints that see or hear, the "
     "encoders go to mmproj-OUT.gguf beside it: in the same type if it is F32, F16, BF16 or Q8_0, otherwise in Q8_0. An encoder "
     "file (mmproj) as MODEL becomes another one."},
    {"quantize", "IN OUT.gguf TYPE", 3, 3, "The same as convert, with the type as an argument.",
     "TYPE is one of F32 F16 BF16 Q8_0 Q4_0 Q4_K Q6_K."},
    {"bench", "", 0, 0, "Measure tokens per second, load time and peak memory.",
     "Prefill is --prompt tokens for each of --batch sequences in one pass; decode is --gen steps of one "
     "token for each. With a picture or a recording also what it takes to decode, preprocess, encode, project and prefill it. With "
     "--shape a model of that shape (encoders included) is made up with random weights."},
    {"verify", "[MODEL]", 0, 1, "Check hashes, finite weights and complete tensors.",
     "Prints `sha256  name` for each model file, as sha256sum does. They are compared with --manifest, or with a SHA256SUMS in the "
     "same folder; a file of weights that is not listed is refused."},
};

static int (*const run_verb[])(tool *) = {model_info,    model_tokenize, model_detokenize, model_template, model_logits,
                                          model_generate, model_convert,  model_quantize,   model_bench,    model_verify};

#define TYPES "F32 F16 BF16 Q8_0 Q4_0 Q4_K Q6_K"

static const cli_option options[] = {
    /* per verb */
    {"prompt", 'p', CLI_TEXT, "TEXT", 0, 0, NULL, NULL, NULL, 0, TOKENIZE | LOGITS | GENERATE,
     "The prompt; - reads it from standard input."},
    {"ids", 0, CLI_TEXT, "LIST", 0, 0, NULL, NULL, NULL, 0, DETOKENIZE | LOGITS, "Token ids with commas between, as they are."},
    {"special", 0, CLI_FLAG, NULL, 0, 0, NULL, NULL, NULL, 0, TOKENIZE | LOGITS | GENERATE,
     "Names of special tokens in the text become those tokens; generate prints them, too."},
    {"special", 0, CLI_FLAG, NULL, 0, 0, NULL, NULL, NULL, 0, DETOKENIZE, "Print special tokens by name, which is the default."},
    {"skip-special", 0, CLI_FLAG, NULL, 0, 0, NULL, NULL, NULL, 0, DETOKENIZE, "Leave special tokens out."},
    {"messages", 0, CLI_TEXT, "FILE", 0, 0, NULL, NULL, NULL, 0, TEMPLATE, "JSON messages; - reads them from standard input."},
    {"chat", 0, CLI_FLAG, NULL, 0, 0, NULL, NULL, NULL, 0, GENERATE, "Use the chat template; without -p, talk in several turns."},
    {"image", 0, CLI_TEXT, "FILE", 0, 0, NULL, NULL, NULL, 0, LOGITS | BENCH, "A picture that comes before the prompt."},
    {"audio", 0, CLI_TEXT, "FILE", 0, 0, NULL, NULL, NULL, 0, LOGITS | BENCH, "A recording that comes before the prompt."},
    TOOL_OPTION_SYSTEM(LOGITS | GENERATE),
    {"chat-template", 0, CLI_ENUM, "NAME", 0, 0, "lfm2 lfm2.5 lfm2.5-moe vl", NULL, NULL, 0, TEMPLATE | LOGITS | GENERATE,
     "Template to use in place of the checkpoint's own."},
    {"keep-thinking", 0, CLI_FLAG, NULL, 0, 0, NULL, NULL, NULL, 0, TEMPLATE | LOGITS | GENERATE,
     "Keep thinking in earlier turns."},
    {"max-tokens", 'n', CLI_INT, "N", 1, MAX_CONTEXT, NULL, "512", NULL, 0, GENERATE, "Most tokens to generate, in each turn."},
    {"max-tokens", 'n', CLI_INT, "N", 0, MAX_CONTEXT, NULL, "0", NULL, 0, LOGITS, "Greedy tokens to print."},
    TOOL_OPTIONS_SAMPLING(GENERATE),
    {"context", 0, CLI_INT, "N", 1, MAX_CONTEXT, NULL, NULL, NULL, 0, INFO | GENERATE,
     "Tokens that prompt and answer can hold together; 4096, or less if the model holds less, when not given."},
    TOOL_OPTION_DEADLINE(LOGITS | GENERATE),
    {"output", 'o', CLI_TEXT, "OUT", 0, 0, NULL, NULL, NULL, 0, LOGITS, "The safetensors file to write."},
    {"type", 0, CLI_ENUM, "TYPE", 0, 0, TYPES, NULL, NULL, 0, CONVERT, "Element type of matrices."},
    {"type", 0, CLI_ENUM, "TYPE", 0, 0, TYPES, "Q4_0", NULL, 0, BENCH, "Element type of a made-up model."},
    {"embed-type", 0, CLI_ENUM, "TYPE", 0, 0, TYPES, NULL, NULL, 0, CONVERT | QUANTIZE,
     "Element type of the embedding table; Q6_K for Q4_0 and Q4_K, otherwise that of the matrices, when not given."},
    TOOL_OPTION_PROGRESS(CONVERT | QUANTIZE),
    {"prompt", 0, CLI_INT, "N", 1, MAX_CONTEXT, NULL, "512", NULL, 0, BENCH, "Tokens to prefill, in each sequence."},
    {"gen", 0, CLI_INT, "N", 1, MAX_CONTEXT, NULL, "128", NULL, 0, BENCH, "Steps to decode."},
    {"batch", 0, CLI_INT, "B", 1, 1024, NULL, "1", NULL, 0, BENCH, "Sequences at once."},
    {"reps", 'r', CLI_INT, "REPS", 1, 1000, NULL, "3", NULL, 0, BENCH, "Repetitions: minimum, median and maximum are printed."},
    {"shape", 0, CLI_TEXT, "CONFIG", 0, 0, NULL, NULL, NULL, 0, BENCH, "A config.json: measure this shape with random weights."},
    {"json", 0, CLI_FLAG, NULL, 0, 0, NULL, NULL, NULL, 0, INFO | GENERATE | BENCH | VERIFY, "Print JSON."},
    /* shared */
    TOOL_OPTION_MODEL(INFO | TOKENIZE | DETOKENIZE | TEMPLATE | LOGITS | GENERATE | BENCH | VERIFY,
                      "A checkpoint folder, a .gguf or a .safetensors file (tokenizer verbs: or a tokenizer.json)."),
    TOOL_OPTION_MMPROJ(INFO | LOGITS | BENCH),
    TOOL_OPTION_CHECK_MODEL(INFO | LOGITS | GENERATE | BENCH),
    TOOL_OPTIONS_PROCESS,
};

static const cli_spec spec = {
    "lfm2-model",
    "Look into, convert, quantise, measure and debug LFM2 model files.",
    verbs,
    sizeof verbs / sizeof verbs[0],
    options,
    sizeof options / sizeof options[0],
    "`lfm2-model VERB --help` lists the options of a verb. " TOOL_NOTES_SETTINGS
    "Exit codes: 0 done; 1 usage; 2 model missing or invalid; 3 input missing or unreadable; 4 input malformed or over a limit; "
    "5 output cannot be written; 6 out of memory; 8 deadline passed; 130 and 143 interrupted and terminated.",
    NULL,
};

static int run(tool *t)
{
    return run_verb[t->cli.verb](t);
}

int main(int argc, char **argv)
{
    return tool_main(argc, argv, &spec, run);
}
