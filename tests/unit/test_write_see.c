/* SPDX-License-Identifier: Apache-2.0
 * Writing down what was seen: the bytes of every format, hostile text, writes and allocations that fail. */
#include "base_testing.h"
#include "paper_testing.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>

#include "base/str.h"
#include "lfm2/lfm2.h"
#include "pipeline/write_impl.h"

/* --- results --- */

/* A page of three lines in two blocks; the second line is not complete. */
static lfm2_see_line page_lines[] = {
    {"Total: 3 < 4 & \"5\"", {10, 20, 100, 12, 0}, 0.98768f, LFM2_STOP_EOS, 7},
    {"# no heading", {12, 40, 90, 11, 0}, 0.5f, LFM2_STOP_LENGTH, 9},
    {"1. Zwölf_", {200, 20, 60, 12, 1}, 1, LFM2_STOP_EOS, 3},
};
static lfm2_see_image_info page_image[] = {{300, 80, 1, 1, 24, 1, 0, 0}};
static lfm2_see_result page = {
    .task = LFM2_SEE_OCR, .layout = LFM2_SEE_LINES, .text = "Total: 3 < 4 & \"5\"\n# no heading\n\n1. Zwölf_",
    .stop = LFM2_STOP_LENGTH, .confidence = 0.8f, .lines = page_lines, .n_lines = 3, .images = page_image, .n_images = 1,
    .n_image_tok = 24, .n_prompt_tok = 60, .n_output_tok = 19,
    .preprocess_us = 1500, .encode_us = 20, .prefill_us = 3000000, .generate_us = 1,
};
static lfm2_see_item page_item = {"scan.png", -1, -1, &page, 12, -1};

/* A caption of two images. */
static lfm2_see_image_info two_images[] = {{1024, 768, 2, 3, 400, 7, 2, 0}, {5, 6, 1, 1, 4, 1, 1, 1}};
static lfm2_see_result caption = {
    .task = LFM2_SEE_CAPTION, .text = "Two *cats*.\nOne <b>sleeps</b>. ![](http://x)", .stop = LFM2_STOP_EOS, .confidence = 0.25f,
    .images = two_images, .n_images = 2, .n_image_tok = 404, .n_prompt_tok = 450, .n_output_tok = 12,
};
static lfm2_see_item caption_item = {"clip.mp4", 3, 12500000, &caption, 0, 1000};

/* A blank page. */
static lfm2_see_result blank = {.task = LFM2_SEE_OCR, .text = "", .stop = LFM2_STOP_EOS, .confidence = -1, .blank = 1,
                                .images = page_image, .n_images = 1};
static lfm2_see_item blank_item = {"blank.png", 0, -1, &blank, -1, -1};

/* --- writing into memory --- */

static void expect(lfm2_runtime *rt, lfm2_see_format format, const lfm2_see_item *items, int32_t n_items, const char *want)
{
    paper p = {0};
    assert_int_equal(lfm2_see_write(rt, format, items, n_items, on_write, &p), 0);
    assert_string_equal(p.text, want);
    assert_int_equal(p.n, strlen(want));
}

#define EXPECT(format, items, want) expect(rt, LFM2_SEE_FORMAT_##format, items, LFM2__COUNT_OF(items), want)

/* --- the bytes --- */

static void text_bytes(void **state)
{
    lfm2_runtime *rt = ((watched *)*state)->rt;
    const lfm2_see_item pages[] = {page_item, blank_item, page_item}, captions[] = {caption_item, caption_item};
    expect(rt, LFM2_SEE_FORMAT_TEXT, &page_item, 1, "Total: 3 < 4 & \"5\"\n# no heading\n\n1. Zwölf_\n");
    expect(rt, LFM2_SEE_FORMAT_TEXT, &blank_item, 1, "");
    expect(rt, LFM2_SEE_FORMAT_TEXT, NULL, 0, "");
    EXPECT(TEXT, pages, "Total: 3 < 4 & \"5\"\n# no heading\n\n1. Zwölf_\n\f\f"
                        "Total: 3 < 4 & \"5\"\n# no heading\n\n1. Zwölf_\n");
    EXPECT(TEXT, captions, "Two *cats*.\nOne <b>sleeps</b>. ![](http://x)\nTwo *cats*.\nOne <b>sleeps</b>. ![](http://x)\n");
}

static void md_bytes(void **state)
{
    lfm2_runtime *rt = ((watched *)*state)->rt;
    const lfm2_see_item items[] = {caption_item, blank_item, page_item};
    expect(rt, LFM2_SEE_FORMAT_MD, &page_item, 1,
           "Total: 3 \\< 4 \\& \"5\"\\\n\\# no heading\n\n1\\. Zwölf\\_\n\n> Incomplete: stopped by length.\n");
    expect(rt, LFM2_SEE_FORMAT_MD, &blank_item, 1, "> No text was found.\n");
    EXPECT(MD, items,
           "## clip.mp4, page 4, at 12.500 s\n\nTwo *cats*.\nOne &lt;b>sleeps&lt;/b>. \\![](http://x)\n\n"
           "> The image file is cut short or damaged.\n\n"
           "## blank.png, page 1\n\n> No text was found.\n\n"
           "## scan.png\n\nTotal: 3 \\< 4 \\& \"5\"\\\n\\# no heading\n\n1\\. Zwölf\\_\n\n> Incomplete: stopped by length.\n");
}

#define PAGE_JSON                                                                                                        \
    "{\"schema_version\":1,\"file\":\"scan.png\",\"task\":\"ocr\","                                                      \
    "\"text\":\"Total: 3 < 4 & \\\"5\\\"\\n# no heading\\n\\n1. Zwölf_\",\"stop\":\"length\","                           \
    "\"tokens\":{\"image\":24,\"tiles\":[1,1],\"prompt\":60,\"output\":19},\"confidence\":0.8000,\"lines\":["            \
    "{\"text\":\"Total: 3 < 4 & \\\"5\\\"\",\"box\":[10,20,100,12],\"confidence\":0.9877},"                              \
    "{\"text\":\"# no heading\",\"box\":[12,40,90,11],\"confidence\":0.5000,\"stop\":\"length\"},"                       \
    "{\"text\":\"1. Zwölf_\",\"box\":[200,20,60,12],\"confidence\":1.0000}],"                                            \
    "\"images\":[{\"width\":300,\"height\":80,\"tiles\":[1,1],\"tokens\":24,\"inputs\":1,\"cached\":0}],"                \
    "\"timing_ms\":{\"load\":0.012,\"decode\":null,\"preprocess\":1.500,\"encode\":0.020,\"prefill\":3000.000,"          \
    "\"generate\":0.001}}"
#define CAPTION_JSON                                                                                                     \
    "{\"schema_version\":1,\"file\":\"clip.mp4\",\"page\":4,\"time_ms\":12500.000,\"task\":\"caption\","                 \
    "\"text\":\"Two *cats*.\\nOne <b>sleeps</b>. ![](http://x)\",\"stop\":\"eos\","                                      \
    "\"tokens\":{\"image\":404,\"tiles\":[2,3],\"prompt\":450,\"output\":12},\"confidence\":0.2500,\"lines\":[],"        \
    "\"images\":[{\"width\":1024,\"height\":768,\"tiles\":[2,3],\"tokens\":400,\"inputs\":7,\"cached\":2},"              \
    "{\"width\":5,\"height\":6,\"tiles\":[1,1],\"tokens\":4,\"inputs\":1,\"cached\":1,\"partial\":true}],"               \
    "\"timing_ms\":{\"load\":0.000,\"decode\":1.000,\"preprocess\":0.000,\"encode\":0.000,\"prefill\":0.000,"            \
    "\"generate\":0.000}}"
#define BLANK_JSON                                                                                                       \
    "{\"schema_version\":1,\"file\":\"blank.png\",\"page\":1,\"task\":\"ocr\",\"text\":\"\",\"blank\":true,"             \
    "\"stop\":\"eos\",\"tokens\":{\"image\":0,\"tiles\":[1,1],\"prompt\":0,\"output\":0},\"confidence\":null,"           \
    "\"lines\":[],\"images\":[{\"width\":300,\"height\":80,\"tiles\":[1,1],\"tokens\":24,\"inputs\":1,\"cached\":0}],"   \
    "\"timing_ms\":{\"load\":null,\"decode\":null,\"preprocess\":0.000,\"encode\":0.000,\"prefill\":0.000,"              \
    "\"generate\":0.000}}"

static void json_bytes(void **state)
{
    lfm2_runtime *rt = ((watched *)*state)->rt;
    const lfm2_see_item items[] = {page_item, caption_item, blank_item};
    expect(rt, LFM2_SEE_FORMAT_JSON, &page_item, 1, PAGE_JSON "\n");
    expect(rt, LFM2_SEE_FORMAT_JSON, NULL, 0, "[]\n");
    EXPECT(JSON, items, "[" PAGE_JSON ",\n" CAPTION_JSON ",\n" BLANK_JSON "]\n");
    EXPECT(JSONL, items, PAGE_JSON "\n" CAPTION_JSON "\n" BLANK_JSON "\n");
    expect(rt, LFM2_SEE_FORMAT_JSONL, NULL, 0, "");
    lfm2_see_result talk = caption; /* a turn without a new image */
    talk.n_images = 0, talk.images = NULL, talk.confidence = NAN;
    const lfm2_see_item item = {"-", -1, -1, &talk, -1, -1};
    paper p = {0};
    assert_int_equal(lfm2_see_write(rt, LFM2_SEE_FORMAT_JSON, &item, 1, on_write, &p), 0);
    assert_non_null(strstr(p.text, "\"tiles\":[0,0],"));
    assert_non_null(strstr(p.text, "\"confidence\":null,"));
    assert_non_null(strstr(p.text, "\"images\":[],"));
}

#define XHTML                                                                                                            \
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE html PUBLIC \"-//W3C//DTD XHTML 1.0 Transitional//EN\" "      \
    "\"http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd\">\n<html xmlns=\"http://www.w3.org/1999/xhtml\">\n<head>\n"
#define META                                                                                                             \
    "<meta http-equiv=\"Content-Type\" content=\"text/html; charset=utf-8\" />\n"                                        \
    "<meta name=\"ocr-system\" content=\"lfm2 %s\" />\n"                                                                 \
    "<meta name=\"ocr-capabilities\" content=\"ocr_page ocr_carea ocr_par ocr_line ocrx_word ocrp_wconf\" />\n"          \
    "<meta name=\"ocr-number-of-pages\" content=\"%d\" />\n</head>\n<body>\n"

static void hocr_bytes(void **state)
{
    lfm2_runtime *rt = ((watched *)*state)->rt;
    char want[8192];
    const lfm2_see_item items[] = {page_item, caption_item, blank_item};
    (void)snprintf(want, sizeof want,
        XHTML "<title>scan.png</title>\n" META
        "<div class=\"ocr_page\" id=\"page_1\" title=\"image &quot;scan.png&quot;; bbox 0 0 300 80; ppageno 0; x_stop length;"
        " x_conf 80.00\">\n"
        "<div class=\"ocr_carea\" id=\"block_1_1\" title=\"bbox 10 20 110 51\">"
        "<p class=\"ocr_par\" id=\"par_1_1\" title=\"bbox 10 20 110 51\">\n"
        "<span class=\"ocr_line\" id=\"line_1_1\" title=\"bbox 10 20 110 32\">"
        "<span class=\"ocrx_word\" id=\"word_1_1\" title=\"bbox 10 20 110 32; x_wconf 98.77\">"
        "Total: 3 &lt; 4 &amp; &quot;5&quot;</span></span>\n"
        "<span class=\"ocr_line\" id=\"line_1_2\" title=\"bbox 12 40 102 51; x_stop length\">"
        "<span class=\"ocrx_word\" id=\"word_1_2\" title=\"bbox 12 40 102 51; x_wconf 50.00\"># no heading</span></span>\n"
        "</p></div>\n"
        "<div class=\"ocr_carea\" id=\"block_1_2\" title=\"bbox 200 20 260 32\">"
        "<p class=\"ocr_par\" id=\"par_1_2\" title=\"bbox 200 20 260 32\">\n"
        "<span class=\"ocr_line\" id=\"line_1_3\" title=\"bbox 200 20 260 32\">"
        "<span class=\"ocrx_word\" id=\"word_1_3\" title=\"bbox 200 20 260 32; x_wconf 100.00\">1. Zwölf_</span></span>\n"
        "</p></div>\n"
        "</div>\n"
        "<div class=\"ocr_page\" id=\"page_2\" title=\"image &quot;clip.mp4&quot;; bbox 0 0 1024 768; ppageno 1; x_stop eos;"
        " x_conf 25.00; x_partial 1\">\n"
        "<div class=\"ocr_carea\" id=\"block_2_1\" title=\"bbox 0 0 1024 768\">"
        "<p class=\"ocr_par\" id=\"par_2_1\" title=\"bbox 0 0 1024 768\">\n"
        "<span class=\"ocr_line\" id=\"line_2_1\" title=\"bbox 0 0 1024 768\">"
        "<span class=\"ocrx_word\" id=\"word_2_1\" title=\"bbox 0 0 1024 768; x_wconf 25.00\">Two *cats*.</span></span>\n"
        "<span class=\"ocr_line\" id=\"line_2_2\" title=\"bbox 0 0 1024 768\">"
        "<span class=\"ocrx_word\" id=\"word_2_2\" title=\"bbox 0 0 1024 768; x_wconf 25.00\">"
        "One &lt;b&gt;sleeps&lt;/b&gt;. ![](http://x)</span></span>\n"
        "</p></div>\n"
        "</div>\n"
        "<div class=\"ocr_page\" id=\"page_3\" title=\"image &quot;blank.png&quot;; bbox 0 0 300 80; ppageno 2; x_stop eos;"
        " x_blank 1\">\n"
        "</div>\n"
        "</body>\n</html>\n", lfm2_version(), 3);
    EXPECT(HOCR, items, want);
    (void)snprintf(want, sizeof want, XHTML "<title></title>\n" META "<p></p>\n</body>\n</html>\n", lfm2_version(), 0);
    expect(rt, LFM2_SEE_FORMAT_HOCR, NULL, 0, want);
}

#define ALTO_HEAD                                                                                                        \
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<alto xmlns=\"http://www.loc.gov/standards/alto/ns-v4#\" "              \
    "xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:schemaLocation=\"http://www.loc.gov/standards/alto/ns-v4# " \
    "http://www.loc.gov/standards/alto/v4/alto-4-4.xsd\" SCHEMAVERSION=\"4.4\">\n"                                       \
    "<Description>\n<MeasurementUnit>pixel</MeasurementUnit>\n<sourceImageInformation>\n"
#define ALTO_READING(n, settings)                                                                                        \
    "<Processing ID=\"reading_" n "\"><processingCategory>contentGeneration</processingCategory>"                        \
    "<processingStepSettings>" settings "</processingStepSettings><processingSoftware><softwareName>lfm2</softwareName>" \
    "<softwareVersion>%s</softwareVersion></processingSoftware></Processing>\n"

static void alto_bytes(void **state)
{
    lfm2_runtime *rt = ((watched *)*state)->rt;
    char want[8192];
    const lfm2_see_item items[] = {page_item, caption_item, blank_item};
    const char *v = lfm2_version();
    (void)snprintf(want, sizeof want,
        ALTO_HEAD "<fileName>scan.png</fileName>\n"
        "<fileIdentifier fileIdentifierLocation=\"page_1\">scan.png</fileIdentifier>\n"
        "<fileIdentifier fileIdentifierLocation=\"page_2\">clip.mp4</fileIdentifier>\n"
        "<fileIdentifier fileIdentifierLocation=\"page_3\">blank.png</fileIdentifier>\n"
        "</sourceImageInformation>\n"
        ALTO_READING("1", "stop=length") ALTO_READING("2", "stop=eos partial=1") ALTO_READING("3", "stop=eos blank=1")
        "</Description>\n"
        "<Tags>\n<OtherTag ID=\"stop_length\" TYPE=\"incomplete\" LABEL=\"stopped by length\"/>\n</Tags>\n"
        "<Layout>\n"
        "<Page ID=\"page_1\" PHYSICAL_IMG_NR=\"1\" WIDTH=\"300\" HEIGHT=\"80\" PC=\"0.8000\" PROCESSINGREFS=\"reading_1\">\n"
        "<PrintSpace HPOS=\"0\" VPOS=\"0\" WIDTH=\"300\" HEIGHT=\"80\">\n"
        "<TextBlock ID=\"block_1_1\" HPOS=\"10\" VPOS=\"20\" WIDTH=\"100\" HEIGHT=\"31\">\n"
        "<TextLine ID=\"line_1_1\" HPOS=\"10\" VPOS=\"20\" WIDTH=\"100\" HEIGHT=\"12\">"
        "<String ID=\"string_1_1\" HPOS=\"10\" VPOS=\"20\" WIDTH=\"100\" HEIGHT=\"12\" WC=\"0.9877\""
        " CONTENT=\"Total: 3 &lt; 4 &amp; &quot;5&quot;\"/></TextLine>\n"
        "<TextLine ID=\"line_1_2\" HPOS=\"12\" VPOS=\"40\" WIDTH=\"90\" HEIGHT=\"11\" TAGREFS=\"stop_length\">"
        "<String ID=\"string_1_2\" HPOS=\"12\" VPOS=\"40\" WIDTH=\"90\" HEIGHT=\"11\" WC=\"0.5000\" CONTENT=\"# no heading\"/>"
        "</TextLine>\n"
        "</TextBlock>\n"
        "<TextBlock ID=\"block_1_2\" HPOS=\"200\" VPOS=\"20\" WIDTH=\"60\" HEIGHT=\"12\">\n"
        "<TextLine ID=\"line_1_3\" HPOS=\"200\" VPOS=\"20\" WIDTH=\"60\" HEIGHT=\"12\">"
        "<String ID=\"string_1_3\" HPOS=\"200\" VPOS=\"20\" WIDTH=\"60\" HEIGHT=\"12\" WC=\"1.0000\" CONTENT=\"1. Zwölf_\"/>"
        "</TextLine>\n"
        "</TextBlock>\n"
        "</PrintSpace>\n</Page>\n"
        "<Page ID=\"page_2\" PHYSICAL_IMG_NR=\"2\" WIDTH=\"1024\" HEIGHT=\"768\" QUALITY=\"Damaged\" PC=\"0.2500\""
        " PROCESSINGREFS=\"reading_2\">\n"
        "<PrintSpace HPOS=\"0\" VPOS=\"0\" WIDTH=\"1024\" HEIGHT=\"768\">\n"
        "<TextBlock ID=\"block_2_1\" HPOS=\"0\" VPOS=\"0\" WIDTH=\"1024\" HEIGHT=\"768\">\n"
        "<TextLine ID=\"line_2_1\" HPOS=\"0\" VPOS=\"0\" WIDTH=\"1024\" HEIGHT=\"768\">"
        "<String ID=\"string_2_1\" HPOS=\"0\" VPOS=\"0\" WIDTH=\"1024\" HEIGHT=\"768\" WC=\"0.2500\" CONTENT=\"Two *cats*.\"/>"
        "</TextLine>\n"
        "<TextLine ID=\"line_2_2\" HPOS=\"0\" VPOS=\"0\" WIDTH=\"1024\" HEIGHT=\"768\">"
        "<String ID=\"string_2_2\" HPOS=\"0\" VPOS=\"0\" WIDTH=\"1024\" HEIGHT=\"768\" WC=\"0.2500\""
        " CONTENT=\"One &lt;b&gt;sleeps&lt;/b&gt;. ![](http://x)\"/></TextLine>\n"
        "</TextBlock>\n"
        "</PrintSpace>\n</Page>\n"
        "<Page ID=\"page_3\" PHYSICAL_IMG_NR=\"3\" WIDTH=\"300\" HEIGHT=\"80\" PROCESSINGREFS=\"reading_3\">\n"
        "<PrintSpace HPOS=\"0\" VPOS=\"0\" WIDTH=\"300\" HEIGHT=\"80\">\n"
        "</PrintSpace>\n</Page>\n"
        "</Layout>\n</alto>\n", v, v, v);
    EXPECT(ALTO, items, want);
    expect(rt, LFM2_SEE_FORMAT_ALTO, NULL, 0,
           ALTO_HEAD "</sourceImageInformation>\n</Description>\n<Layout>\n<Page ID=\"page_1\" PHYSICAL_IMG_NR=\"1\"/>\n"
                     "</Layout>\n</alto>\n");
}

#define TSV_HEAD "level\tpage_num\tblock_num\tpar_num\tline_num\tword_num\tleft\ttop\twidth\theight\tconf\ttext\n"

static void tsv_bytes(void **state)
{
    lfm2_runtime *rt = ((watched *)*state)->rt;
    const lfm2_see_item items[] = {page_item, blank_item, caption_item};
    EXPECT(TSV, items,
           TSV_HEAD
           "1\t1\t0\t0\t0\t0\t0\t0\t300\t80\t-1\t\n"
           "2\t1\t1\t0\t0\t0\t10\t20\t100\t31\t-1\t\n"
           "3\t1\t1\t1\t0\t0\t10\t20\t100\t31\t-1\t\n"
           "4\t1\t1\t1\t1\t0\t10\t20\t100\t12\t-1\t\n"
           "5\t1\t1\t1\t1\t1\t10\t20\t100\t12\t98.77\tTotal: 3 < 4 & \"5\"\n"
           "4\t1\t1\t1\t2\t0\t12\t40\t90\t11\t-1\t\n"
           "5\t1\t1\t1\t2\t1\t12\t40\t90\t11\t50.00\t# no heading\n"
           "2\t1\t2\t0\t0\t0\t200\t20\t60\t12\t-1\t\n"
           "3\t1\t2\t1\t0\t0\t200\t20\t60\t12\t-1\t\n"
           "4\t1\t2\t1\t1\t0\t200\t20\t60\t12\t-1\t\n"
           "5\t1\t2\t1\t1\t1\t200\t20\t60\t12\t100.00\t1. Zwölf_\n"
           "1\t2\t0\t0\t0\t0\t0\t0\t300\t80\t-1\t\n"
           "1\t3\t0\t0\t0\t0\t0\t0\t1024\t768\t-1\t\n"
           "2\t3\t1\t0\t0\t0\t0\t0\t1024\t768\t-1\t\n"
           "3\t3\t1\t1\t0\t0\t0\t0\t1024\t768\t-1\t\n"
           "4\t3\t1\t1\t1\t0\t0\t0\t1024\t768\t-1\t\n"
           "5\t3\t1\t1\t1\t1\t0\t0\t1024\t768\t25.00\tTwo *cats*.\n"
           "4\t3\t1\t1\t2\t0\t0\t0\t1024\t768\t-1\t\n"
           "5\t3\t1\t1\t2\t1\t0\t0\t1024\t768\t25.00\tOne <b>sleeps</b>. ![](http://x)\n");
    expect(rt, LFM2_SEE_FORMAT_TSV, NULL, 0, TSV_HEAD);
}

/* A decimal comma in the program's locale changes nothing. */
static void another_locale(void **state)
{
    static const char *const locales[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "tr_TR.UTF-8"};
    const char *found = NULL;
    for (size_t i = 0; i < LFM2__COUNT_OF(locales) && found == NULL; i++) found = setlocale(LC_ALL, locales[i]);
    if (found == NULL) skip();
    json_bytes(state);
    hocr_bytes(state);
    alto_bytes(state);
    tsv_bytes(state);
    md_bytes(state);
    setlocale(LC_ALL, "C");
}

/* --- text that means harm --- */

#define FFFD "\xEF\xBF\xBD"

static void hostile_text(void **state)
{
    lfm2_runtime *rt = ((watched *)*state)->rt;
    static const struct {
        const char *in, *plain, *cell, *json, *xml;
    } cases[] = {
        {"", "", "", "\"\"", ""},
        {"a\tb\nc\r\nd", "a\tb\nc\nd", "a b c  d", "\"a\\tb\\nc\\r\\nd\"", "a&#9;b&#10;c&#13;&#10;d"},
        {"\x1b[2Jx\x07", FFFD "[2Jx" FFFD, FFFD "[2Jx" FFFD, "\"\\u001b[2Jx\\u0007\"", FFFD "[2Jx" FFFD},
        {"\x01\x0b\x0c\x7f", FFFD FFFD FFFD FFFD, FFFD FFFD FFFD FFFD, "\"\\u0001\\u000b\\f\x7f\"", FFFD FFFD FFFD FFFD},
        {"\xC2\x9B", FFFD, FFFD, "\"\xC2\x9B\"", FFFD}, /* a control sequence in one code point */
        {"]]>--><!--&amp;<a href='x' b=\"y\">", "]]>--><!--&amp;<a href='x' b=\"y\">", "]]>--><!--&amp;<a href='x' b=\"y\">",
         "\"]]>--><!--&amp;<a href='x' b=\\\"y\\\">\"",
         "]]&gt;--&gt;&lt;!--&amp;amp;&lt;a href=&#39;x&#39; b=&quot;y&quot;&gt;"},
        {"\xE2\x80\xAE" "gnp.exe", "\xE2\x80\xAE" "gnp.exe", "\xE2\x80\xAE" "gnp.exe", "\"\xE2\x80\xAE" "gnp.exe\"",
         "\xE2\x80\xAE" "gnp.exe"}, /* U+202E is text in some languages */
        {"\xEF\xBF\xBE\xEF\xBF\xBF", "\xEF\xBF\xBE\xEF\xBF\xBF", "\xEF\xBF\xBE\xEF\xBF\xBF", "\"\xEF\xBF\xBE\xEF\xBF\xBF\"",
         FFFD FFFD},
        {"a\xFF\xC3(\xED\xA0\x80\xF0\x9F\x98", "a" FFFD FFFD "(" FFFD FFFD FFFD FFFD FFFD FFFD,
         "a" FFFD FFFD "(" FFFD FFFD FFFD FFFD FFFD FFFD, "\"a" FFFD FFFD "(" FFFD FFFD FFFD FFFD FFFD FFFD "\"",
         "a" FFFD FFFD "(" FFFD FFFD FFFD FFFD FFFD FFFD},
        {"\xF0\x9F\x98\x80\\", "\xF0\x9F\x98\x80\\", "\xF0\x9F\x98\x80\\", "\"\xF0\x9F\x98\x80\\\\\"", "\xF0\x9F\x98\x80\\"},
    };
    for (size_t i = 0; i < LFM2__COUNT_OF(cases); i++) {
        void (*const put[])(lfm2__str *, const char *, size_t) = {lfm2__put_plain, lfm2__put_cell, lfm2__put_json, lfm2__put_xml};
        const char *const want[] = {cases[i].plain, cases[i].cell, cases[i].json, cases[i].xml};
        for (size_t k = 0; k < LFM2__COUNT_OF(put); k++) {
            lfm2__str s;
            lfm2__str_init(&s, rt);
            put[k](&s, cases[i].in, strlen(cases[i].in));
            lfm2__str_puts(&s, "");
            assert_string_equal(s.data, want[k]);
            lfm2__str_fini(&s);
        }
    }
    lfm2__str s;
    lfm2__str_init(&s, rt);
    lfm2__put_xml(&s, "a\0b", 3); /* NUL inside */
    lfm2__put_cell(&s, "a\0b", 3);
    lfm2__put_json(&s, "a\0b", 3);
    assert_string_equal(s.data, "a" FFFD "ba" FFFD "b\"a\\u0000b\"");
    lfm2__str_fini(&s);
}

static void hostile_lines(void **state)
{
    lfm2_runtime *rt = ((watched *)*state)->rt;
    lfm2_see_line lines[] = {
        {"a\tb\n5\t1", {-5, -6, 20, 20, 0}, 2, LFM2_STOP_EOS, 1},
        {"<script>", {290, 70, INT32_MAX, INT32_MAX, 0}, -0.5f, LFM2_STOP_LOOP, 1},
        {"    - [x](y) * `c` $a$", {500, 500, 3, 3, 1}, NAN, LFM2_STOP_DEADLINE, 1},
    };
    lfm2_see_result r = page;
    r.lines = lines;
    const lfm2_see_item item = {"a\"b;\\%\xC3\xA4\n<&>.png", -1, -1, &r, -1, -1};
    expect(rt, LFM2_SEE_FORMAT_TSV, &item, 1,
           TSV_HEAD
           "1\t1\t0\t0\t0\t0\t0\t0\t300\t80\t-1\t\n"
           "2\t1\t1\t0\t0\t0\t0\t0\t300\t80\t-1\t\n"
           "3\t1\t1\t1\t0\t0\t0\t0\t300\t80\t-1\t\n"
           "4\t1\t1\t1\t1\t0\t0\t0\t15\t14\t-1\t\n"
           "5\t1\t1\t1\t1\t1\t0\t0\t15\t14\t100.00\ta b 5 1\n"
           "4\t1\t1\t1\t2\t0\t290\t70\t10\t10\t-1\t\n"
           "5\t1\t1\t1\t2\t1\t290\t70\t10\t10\t-1\t<script>\n"
           "2\t1\t2\t0\t0\t0\t300\t80\t0\t0\t-1\t\n"
           "3\t1\t2\t1\t0\t0\t300\t80\t0\t0\t-1\t\n"
           "4\t1\t2\t1\t1\t0\t300\t80\t0\t0\t-1\t\n"
           "5\t1\t2\t1\t1\t1\t300\t80\t0\t0\t-1\t    - [x](y) * `c` $a$\n");
    expect(rt, LFM2_SEE_FORMAT_MD, &item, 1,
           "a b 5 1\\\n\\<script>\n\n\\- \\[x\\](y) \\* \\`c\\` \\$a\\$\n\n> Incomplete: stopped by length.\n");
    paper p = {0};
    assert_int_equal(lfm2_see_write(rt, LFM2_SEE_FORMAT_HOCR, &item, 1, on_write, &p), 0);
    assert_non_null(strstr(p.text, "image &quot;a%22b%3B%5C%25%C3%A4%0A&lt;&amp;&gt;.png&quot;; bbox"));
    assert_non_null(strstr(p.text, "bbox 290 70 300 80; x_stop loop\"><span class=\"ocrx_word\" id=\"word_1_2\" "
                                   "title=\"bbox 290 70 300 80\">&lt;script&gt;</span>"));
    p = (paper){0};
    assert_int_equal(lfm2_see_write(rt, LFM2_SEE_FORMAT_ALTO, &item, 1, on_write, &p), 0);
    assert_non_null(strstr(p.text, "<fileName>a&quot;b;\\%\xC3\xA4&#10;&lt;&amp;&gt;.png</fileName>"));
    assert_non_null(strstr(p.text, "<OtherTag ID=\"stop_loop\""));
    assert_non_null(strstr(p.text, "<OtherTag ID=\"stop_deadline\""));
    assert_null(strstr(p.text, "<OtherTag ID=\"stop_length\"")); /* no line has it */
    assert_non_null(strstr(p.text, " TAGREFS=\"stop_loop\"><String ID=\"string_1_2\" HPOS=\"290\" VPOS=\"70\" WIDTH=\"10\" "
                                   "HEIGHT=\"10\" CONTENT=\"&lt;script&gt;\"/>"));
}

/* What would be a list, a heading and the like in Markdown is none when it was read from a page. */
static void literal_markdown(void **state)
{
    lfm2_runtime *rt = ((watched *)*state)->rt;
    static const char *const cases[][2] = {
        {"# a", "\\# a"},       {"12. a", "12\\. a"},   {"12) a", "12\\) a"}, {"12 a. b", "12 a. b"}, {"12.5", "12\\.5"},
        {"- a", "\\- a"},       {"a - b", "a - b"},     {"+ a", "\\+ a"},     {"> a", "\\> a"},       {"===", "\\==="},
        {":--", "\\:--"},       {"~~a~~", "\\~\\~a\\~\\~"}, {"a\\b", "a\\\\b"},   {"![a](b)", "!\\[a\\](b)"}, {"  x", "x"},
        {"", ""},               {"7", "7"},             {"&lt;", "\\&lt;"},   {"---", "\\---"},       {"    ", ""},
    };
    for (size_t i = 0; i < LFM2__COUNT_OF(cases); i++) {
        char in[64], want[64];
        (void)snprintf(in, sizeof in, "%s", cases[i][0]);
        (void)snprintf(want, sizeof want, "%s\n", cases[i][1]);
        lfm2_see_line line = {in, {0, 0, 1, 1, 0}, 1, LFM2_STOP_EOS, 1};
        lfm2_see_result r = {.task = LFM2_SEE_OCR, .layout = LFM2_SEE_LINES, .text = in, .lines = &line, .n_lines = 1};
        const lfm2_see_item item = {"a", -1, -1, &r, -1, -1};
        expect(rt, LFM2_SEE_FORMAT_MD, &item, 1, want);
    }
}

/* --- failures --- */

static void arguments(void **state)
{
    watched *x = *state;
    paper p = {0};
    lfm2_see_item item = page_item;
    lfm2_see_result r = page;
    item.result = &r;
    assert_int_equal(lfm2_see_write(NULL, LFM2_SEE_FORMAT_TEXT, &item, 1, on_write, &p), LFM2_ERR_ARG);
    assert_int_equal(lfm2_see_write(x->rt, LFM2_SEE_FORMAT_TEXT, NULL, 1, on_write, &p), LFM2_ERR_ARG);
    assert_int_equal(lfm2_see_write(x->rt, LFM2_SEE_FORMAT_TEXT, &item, -1, on_write, &p), LFM2_ERR_ARG);
    assert_int_equal(lfm2_see_write(x->rt, LFM2_SEE_FORMAT_TEXT, &item, 1, NULL, &p), LFM2_ERR_ARG);
    assert_int_equal(lfm2_see_write(x->rt, (lfm2_see_format)(LFM2_SEE_FORMAT_TSV + 1), &item, 1, on_write, &p), LFM2_ERR_ARG);
    assert_int_equal(lfm2_see_write(x->rt, (lfm2_see_format)-1, &item, 1, on_write, &p), LFM2_ERR_ARG);
#define EXPECT_BAD(setting)                                                                                              \
    do {                                                                                                                 \
        r = page;                                                                                                        \
        item = (lfm2_see_item){"a", -1, -1, &r, -1, -1};                                                                 \
        setting;                                                                                                         \
        assert_int_equal(lfm2_see_write(x->rt, LFM2_SEE_FORMAT_JSON, &item, 1, on_write, &p), LFM2_ERR_ARG);             \
    } while (0)
    EXPECT_BAD(item.file = NULL);
    EXPECT_BAD(item.result = NULL);
    EXPECT_BAD(r.text = NULL);
    EXPECT_BAD(r.task = (lfm2_see_task)3);
    EXPECT_BAD(r.stop = (lfm2_stop)9);
    EXPECT_BAD(r.n_lines = -1);
    EXPECT_BAD(r.n_images = -1);
    EXPECT_BAD(r.lines = NULL);
    EXPECT_BAD(r.images = NULL);
    lfm2_see_line bad = {NULL, {0, 0, 0, 0, 0}, 0, LFM2_STOP_EOS, 0};
    EXPECT_BAD((r.lines = &bad, r.n_lines = 1));
    bad = (lfm2_see_line){"", {0, 0, 0, 0, 0}, 0, (lfm2_stop)-1, 0};
    EXPECT_BAD((r.lines = &bad, r.n_lines = 1));
    assert_int_equal(p.n_writes, 0);
}

static void failing_writes(void **state)
{
    watched *x = *state;
    const lfm2_see_item items[] = {page_item, caption_item, blank_item, page_item};
    for (int format = LFM2_SEE_FORMAT_TEXT; format <= LFM2_SEE_FORMAT_TSV; format++) {
        paper whole = {0};
        assert_int_equal(lfm2_see_write(x->rt, (lfm2_see_format)format, items, 4, on_write, &whole), 0);
        assert_true(whole.n_writes >= 4);
        for (int k = 1; k <= whole.n_writes; k++) {
            paper p = {.fail_at = k};
            assert_int_equal(lfm2_see_write(x->rt, (lfm2_see_format)format, items, 4, on_write, &p), LFM2_ERR_IO);
            assert_int_equal(p.n_writes, k); /* not asked again */
            assert_memory_equal(p.text, whole.text, p.n);
        }
    }
}

static void failing_allocations(void **state)
{
    watched *x = *state;
    const lfm2_see_item bad_text = {"a\xFF", -1, -1, &caption, -1, -1};
    const lfm2_see_item items[] = {page_item, caption_item, bad_text};
    for (int format = LFM2_SEE_FORMAT_TEXT; format <= LFM2_SEE_FORMAT_TSV; format++) {
        for (long k = 0; test_fail_next(&x->heap, &k);) {
            paper p = {0};
            const int rc = lfm2_see_write(x->rt, (lfm2_see_format)format, items, 3, on_write, &p);
            assert_int_equal(rc, test_has_failed(&x->heap) ? LFM2_ERR_NOMEM : 0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(text_bytes, watch_setup, watch_teardown),
        cmocka_unit_test_setup_teardown(md_bytes, watch_setup, watch_teardown),
        cmocka_unit_test_setup_teardown(json_bytes, watch_setup, watch_teardown),
        cmocka_unit_test_setup_teardown(hocr_bytes, watch_setup, watch_teardown),
        cmocka_unit_test_setup_teardown(alto_bytes, watch_setup, watch_teardown),
        cmocka_unit_test_setup_teardown(tsv_bytes, watch_setup, watch_teardown),
        cmocka_unit_test_setup_teardown(another_locale, watch_setup, watch_teardown),
        cmocka_unit_test_setup_teardown(hostile_text, watch_setup, watch_teardown),
        cmocka_unit_test_setup_teardown(hostile_lines, watch_setup, watch_teardown),
        cmocka_unit_test_setup_teardown(literal_markdown, watch_setup, watch_teardown),
        cmocka_unit_test_setup_teardown(arguments, watch_setup, watch_teardown),
        cmocka_unit_test_setup_teardown(failing_writes, watch_setup, watch_teardown),
        cmocka_unit_test_setup_teardown(failing_allocations, watch_setup, watch_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
