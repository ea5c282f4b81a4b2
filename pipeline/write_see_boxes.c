/* SPDX-License-Identifier: Apache-2.0
 * The formats of text recognition, with the place of each line: hOCR 1.2, ALTO 4.4, and TSV with Tesseract's columns. The model
 * does not say where in a line a word stands, so a line is one word of each format. */
#include <string.h>

#include "lfm2/lfm2.h"
#include "pipeline/write_see_impl.h"

/* --- lines and blocks --- */

lfm2_text_box lfm2__see_page_box(const lfm2_see_item *item)
{
    lfm2_text_box page = {0};
    if (item->result->n_images > 0) {
        page.w = item->result->images[0].width > 0 ? item->result->images[0].width : 0;
        page.h = item->result->images[0].height > 0 ? item->result->images[0].height : 0;
    }
    return page;
}

static int32_t clamp(int64_t v, int32_t hi)
{
    return v < 0 ? 0 : v > hi ? hi : (int32_t)v;
}

/* The part of a box that lies on the page: what else could a reader do with the rest? */
static lfm2_text_box on_page(lfm2_text_box box, lfm2_text_box page)
{
    const int32_t right = clamp((int64_t)box.x + box.w, page.w), bottom = clamp((int64_t)box.y + box.h, page.h);
    const int32_t x = clamp(box.x, right), y = clamp(box.y, bottom);
    return (lfm2_text_box){x, y, right - x, bottom - y, box.block};
}

static lfm2_text_box around(lfm2_text_box a, lfm2_text_box b)
{
    const int32_t x = a.x < b.x ? a.x : b.x, y = a.y < b.y ? a.y : b.y;
    const int32_t right = a.x + a.w > b.x + b.w ? a.x + a.w : b.x + b.w;
    const int32_t bottom = a.y + a.h > b.y + b.h ? a.y + a.h : b.y + b.h;
    return (lfm2_text_box){x, y, right - x, bottom - y, a.block};
}

static int next_of_layout(const lfm2_see_item *item, lfm2__see_cursor *cursor, lfm2__see_place *out)
{
    const lfm2_see_result *r = item->result;
    const int32_t i = cursor->line;
    if (i >= r->n_lines) return 0;
    const lfm2_text_box page = lfm2__see_page_box(item);
    const lfm2_see_line *line = &r->lines[i];
    *out = (lfm2__see_place){.text = line->text, .n = strlen(line->text), .confidence = line->confidence, .stop = line->stop};
    out->box = out->block_box = on_page(line->box, page);
    out->opens_block = i == 0 || line->box.block != line[-1].box.block;
    for (int32_t k = i + 1; out->opens_block && k < r->n_lines && r->lines[k].box.block == line->box.block; k++) {
        out->block_box = around(out->block_box, on_page(r->lines[k].box, page));
    }
    cursor->line++;
    return 1;
}

int lfm2__see_next(const lfm2_see_item *item, lfm2__see_cursor *cursor, lfm2__see_place *out)
{
    const lfm2_see_result *r = item->result;
    if (r->layout == LFM2_SEE_LINES) return next_of_layout(item, cursor, out);
    const char *text = r->text + cursor->at;
    text += strspn(text, "\r\n");
    if (*text == '\0') return 0;
    const size_t n = strcspn(text, "\r\n");
    *out = (lfm2__see_place){.text = text, .n = n, .confidence = r->confidence, .stop = r->stop};
    out->box = out->block_box = lfm2__see_page_box(item);
    out->opens_block = cursor->line++ == 0;
    cursor->at = (size_t)(text + n - r->text);
    return 1;
}

static void put_xml(lfm2__str *s, const char *text)
{
    lfm2__put_xml(s, text, strlen(text));
}

/* --- hOCR --- */

void lfm2__hocr_begin(lfm2__see_doc *doc)
{
    lfm2__str *s = &doc->sink.s;
    lfm2__str_puts(s, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                      "<!DOCTYPE html PUBLIC \"-//W3C//DTD XHTML 1.0 Transitional//EN\""
                      " \"http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd\">\n"
                      "<html xmlns=\"http://www.w3.org/1999/xhtml\">\n"
                      "<head>\n"
                      "<title>");
    put_xml(s, doc->n_items > 0 ? doc->items[0].file : "");
    lfm2__str_puts(s, "</title>\n"
                      "<meta http-equiv=\"Content-Type\" content=\"text/html; charset=utf-8\" />\n");
    lfm2__str_printf(s, "<meta name=\"ocr-system\" content=\"lfm2 %s\" />\n", lfm2_version());
    lfm2__str_puts(s, "<meta name=\"ocr-capabilities\" content=\"ocr_page ocr_carea ocr_par ocr_line ocrx_word ocrp_wconf\" />\n");
    lfm2__str_printf(s, "<meta name=\"ocr-number-of-pages\" content=\"%d\" />\n</head>\n<body>\n", doc->n_items);
    if (doc->n_items == 0) lfm2__str_puts(s, "<p></p>\n"); /* XHTML wants something in it */
}

void lfm2__hocr_end(lfm2__see_doc *doc)
{
    lfm2__str_puts(&doc->sink.s, "</body>\n</html>\n");
}

/* hOCR allows printable ASCII without quotes only: the rest is written as in URLs. */
static void put_file_name(lfm2__str *s, const char *file)
{
    lfm2__str ascii;
    lfm2__str_init(&ascii, s->rt);
    for (const char *c = file; *c != '\0'; c++) {
        const unsigned char byte = (unsigned char)*c;
        if (byte < 0x20 || byte > 0x7E || byte == '"' || byte == '\\' || byte == '%' || byte == ';') {
            lfm2__str_printf(&ascii, "%%%02X", byte);
        } else {
            lfm2__str_put(&ascii, c, 1);
        }
    }
    if (ascii.status < 0) s->status = ascii.status;
    lfm2__put_xml(s, ascii.data, ascii.n);
    lfm2__str_fini(&ascii);
}

static void put_bbox(lfm2__str *s, lfm2_text_box b)
{
    lfm2__str_printf(s, "bbox %d %d %d %d", b.x, b.y, b.x + b.w, b.y + b.h);
}

static void hocr_page(lfm2__str *s, const lfm2_see_item *item, int32_t i)
{
    const lfm2_see_result *r = item->result;
    lfm2__str_printf(s, "<div class=\"ocr_page\" id=\"page_%d\" title=\"image &quot;", i + 1);
    put_file_name(s, item->file);
    lfm2__str_puts(s, "&quot;; ");
    put_bbox(s, lfm2__see_page_box(item));
    lfm2__str_printf(s, "; ppageno %d; x_stop %s", i, lfm2_stop_name(r->stop));
    const int64_t percent = lfm2__confidence_fixed(r->confidence, 4);
    if (percent >= 0) {
        lfm2__str_puts(s, "; x_conf ");
        lfm2__str_put_fixed(s, percent, 2);
    }
    if (r->blank) lfm2__str_puts(s, "; x_blank 1");
    if (lfm2__see_is_partial(item->result)) lfm2__str_puts(s, "; x_partial 1");
    lfm2__str_puts(s, "\">\n");
}

static void hocr_line(lfm2__str *s, const lfm2__see_place *line, int32_t page, int32_t number)
{
    lfm2__str_printf(s, "<span class=\"ocr_line\" id=\"line_%d_%d\" title=\"", page, number);
    put_bbox(s, line->box);
    if (line->stop != LFM2_STOP_EOS) lfm2__str_printf(s, "; x_stop %s", lfm2_stop_name(line->stop));
    lfm2__str_printf(s, "\"><span class=\"ocrx_word\" id=\"word_%d_%d\" title=\"", page, number);
    put_bbox(s, line->box);
    const int64_t percent = lfm2__confidence_fixed(line->confidence, 4);
    if (percent >= 0) {
        lfm2__str_puts(s, "; x_wconf ");
        lfm2__str_put_fixed(s, percent, 2);
    }
    lfm2__str_puts(s, "\">");
    lfm2__put_xml(s, line->text, line->n);
    lfm2__str_puts(s, "</span></span>\n");
}

void lfm2__hocr_item(lfm2__see_doc *doc, int32_t i)
{
    lfm2__str *s = &doc->sink.s;
    const lfm2_see_item *item = &doc->items[i];
    lfm2__see_cursor cursor = {0};
    lfm2__see_place line;
    int32_t n_blocks = 0;
    hocr_page(s, item, i);
    while (lfm2__see_next(item, &cursor, &line)) {
        if (line.opens_block) {
            if (n_blocks > 0) lfm2__str_puts(s, "</p></div>\n");
            n_blocks++;
            lfm2__str_printf(s, "<div class=\"ocr_carea\" id=\"block_%d_%d\" title=\"", i + 1, n_blocks);
            put_bbox(s, line.block_box);
            lfm2__str_printf(s, "\"><p class=\"ocr_par\" id=\"par_%d_%d\" title=\"", i + 1, n_blocks);
            put_bbox(s, line.block_box);
            lfm2__str_puts(s, "\">\n");
        }
        hocr_line(s, &line, i + 1, cursor.line);
    }
    if (n_blocks > 0) lfm2__str_puts(s, "</p></div>\n");
    lfm2__str_puts(s, "</div>\n");
}

/* --- ALTO --- */

/* What lines refer to that were not read to their end. */
static void alto_tags(lfm2__see_doc *doc)
{
    lfm2__str *s = &doc->sink.s;
    unsigned seen = 0;
    for (int32_t i = 0; i < doc->n_items; i++) {
        lfm2__see_cursor cursor = {0};
        lfm2__see_place line;
        while (lfm2__see_next(&doc->items[i], &cursor, &line)) seen |= 1u << line.stop;
    }
    seen &= ~(1u << LFM2_STOP_EOS);
    if (seen == 0) return;
    lfm2__str_puts(s, "<Tags>\n");
    for (unsigned stop = 0; stop <= LFM2_STOP_ABORT; stop++) {
        if ((seen & 1u << stop) == 0) continue;
        const char *name = lfm2_stop_name((lfm2_stop)stop);
        lfm2__str_printf(s, "<OtherTag ID=\"stop_%s\" TYPE=\"incomplete\" LABEL=\"stopped by %s\"/>\n", name, name);
    }
    lfm2__str_puts(s, "</Tags>\n");
}

/* How page i was made; the schema has no other place for the stop reason of a page. */
static void alto_processing(lfm2__str *s, const lfm2_see_item *item, int32_t i)
{
    const lfm2_see_result *r = item->result;
    lfm2__str_printf(s, "<Processing ID=\"reading_%d\"><processingCategory>contentGeneration</processingCategory>"
                        "<processingStepSettings>stop=%s%s%s</processingStepSettings>"
                        "<processingSoftware><softwareName>lfm2</softwareName><softwareVersion>%s</softwareVersion>"
                        "</processingSoftware></Processing>\n",
                     i + 1, lfm2_stop_name(r->stop), r->blank ? " blank=1" : "",
                     lfm2__see_is_partial(r) ? " partial=1" : "", lfm2_version());
}

void lfm2__alto_begin(lfm2__see_doc *doc)
{
    lfm2__str *s = &doc->sink.s;
    lfm2__str_puts(s, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                      "<alto xmlns=\"http://www.loc.gov/standards/alto/ns-v4#\""
                      " xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\""
                      " xsi:schemaLocation=\"http://www.loc.gov/standards/alto/ns-v4#"
                      " http://www.loc.gov/standards/alto/v4/alto-4-4.xsd\" SCHEMAVERSION=\"4.4\">\n"
                      "<Description>\n<MeasurementUnit>pixel</MeasurementUnit>\n<sourceImageInformation>\n");
    for (int32_t i = 0; i < doc->n_items; i++) { /* the first names the document, all of them the pages */
        if (i == 0) {
            lfm2__str_puts(s, "<fileName>");
            put_xml(s, doc->items[i].file);
            lfm2__str_puts(s, "</fileName>\n");
        }
        lfm2__str_printf(s, "<fileIdentifier fileIdentifierLocation=\"page_%d\">", i + 1);
        put_xml(s, doc->items[i].file);
        lfm2__str_puts(s, "</fileIdentifier>\n");
    }
    lfm2__str_puts(s, "</sourceImageInformation>\n");
    for (int32_t i = 0; i < doc->n_items; i++) alto_processing(s, &doc->items[i], i);
    lfm2__str_puts(s, "</Description>\n");
    alto_tags(doc);
    lfm2__str_puts(s, "<Layout>\n");
    if (doc->n_items == 0) lfm2__str_puts(s, "<Page ID=\"page_1\" PHYSICAL_IMG_NR=\"1\"/>\n"); /* the schema wants one */
}

void lfm2__alto_end(lfm2__see_doc *doc)
{
    lfm2__str_puts(&doc->sink.s, "</Layout>\n</alto>\n");
}

static void put_place(lfm2__str *s, lfm2_text_box b)
{
    lfm2__str_printf(s, " HPOS=\"%d\" VPOS=\"%d\" WIDTH=\"%d\" HEIGHT=\"%d\"", b.x, b.y, b.w, b.h);
}

static void put_share(lfm2__str *s, const char *attribute, float confidence)
{
    const int64_t share = lfm2__confidence_fixed(confidence, 4);
    if (share < 0) return;
    lfm2__str_printf(s, " %s=\"", attribute);
    lfm2__str_put_fixed(s, share, 4);
    lfm2__str_puts(s, "\"");
}

void lfm2__alto_item(lfm2__see_doc *doc, int32_t i)
{
    lfm2__str *s = &doc->sink.s;
    const lfm2_see_item *item = &doc->items[i];
    const lfm2_text_box page = lfm2__see_page_box(item);
    lfm2__see_cursor cursor = {0};
    lfm2__see_place line;
    int32_t n_blocks = 0;
    lfm2__str_printf(s, "<Page ID=\"page_%d\" PHYSICAL_IMG_NR=\"%d\"", i + 1, i + 1);
    lfm2__str_printf(s, " WIDTH=\"%d\" HEIGHT=\"%d\"", page.w, page.h);
    if (lfm2__see_is_partial(item->result)) lfm2__str_puts(s, " QUALITY=\"Damaged\"");
    put_share(s, "PC", item->result->confidence);
    lfm2__str_printf(s, " PROCESSINGREFS=\"reading_%d\">\n<PrintSpace", i + 1);
    put_place(s, page);
    lfm2__str_puts(s, ">\n");
    while (lfm2__see_next(item, &cursor, &line)) {
        if (line.opens_block) {
            if (n_blocks > 0) lfm2__str_puts(s, "</TextBlock>\n");
            lfm2__str_printf(s, "<TextBlock ID=\"block_%d_%d\"", i + 1, ++n_blocks);
            put_place(s, line.block_box);
            lfm2__str_puts(s, ">\n");
        }
        lfm2__str_printf(s, "<TextLine ID=\"line_%d_%d\"", i + 1, cursor.line);
        put_place(s, line.box);
        if (line.stop != LFM2_STOP_EOS) lfm2__str_printf(s, " TAGREFS=\"stop_%s\"", lfm2_stop_name(line.stop));
        lfm2__str_printf(s, "><String ID=\"string_%d_%d\"", i + 1, cursor.line);
        put_place(s, line.box);
        put_share(s, "WC", line.confidence);
        lfm2__str_puts(s, " CONTENT=\"");
        lfm2__put_xml(s, line.text, line.n);
        lfm2__str_puts(s, "\"/></TextLine>\n");
    }
    if (n_blocks > 0) lfm2__str_puts(s, "</TextBlock>\n");
    lfm2__str_puts(s, "</PrintSpace>\n</Page>\n");
}

/* --- TSV --- */

void lfm2__tsv_begin(lfm2__see_doc *doc)
{
    lfm2__str_puts(&doc->sink.s, "level\tpage_num\tblock_num\tpar_num\tline_num\tword_num\tleft\ttop\twidth\theight\tconf\ttext\n");
}

/* One row up to the text. level: 1 page, 2 block, 3 paragraph, 4 line, 5 word; numbers of what is below the level are 0. */
static void tsv_row(lfm2__str *s, int level, int32_t page, int32_t block, int32_t line, lfm2_text_box b, float confidence)
{
    lfm2__str_printf(s, "%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t", level, page, block, level > 2 ? 1 : 0, line,
                     level > 4 ? 1 : 0, b.x, b.y, b.w, b.h);
    const int64_t percent = lfm2__confidence_fixed(confidence, 4);
    if (percent >= 0) {
        lfm2__str_put_fixed(s, percent, 2);
    } else {
        lfm2__str_puts(s, "-1");
    }
    lfm2__str_puts(s, "\t");
}

void lfm2__tsv_item(lfm2__see_doc *doc, int32_t i)
{
    lfm2__str *s = &doc->sink.s;
    const lfm2_see_item *item = &doc->items[i];
    lfm2__see_cursor cursor = {0};
    lfm2__see_place line;
    int32_t n_blocks = 0, n_lines = 0; /* lines of the block */
    tsv_row(s, 1, i + 1, 0, 0, lfm2__see_page_box(item), -1);
    lfm2__str_puts(s, "\n");
    while (lfm2__see_next(item, &cursor, &line)) {
        if (line.opens_block) {
            n_blocks++;
            n_lines = 0;
            tsv_row(s, 2, i + 1, n_blocks, 0, line.block_box, -1);
            lfm2__str_puts(s, "\n");
            tsv_row(s, 3, i + 1, n_blocks, 0, line.block_box, -1);
            lfm2__str_puts(s, "\n");
        }
        n_lines++;
        tsv_row(s, 4, i + 1, n_blocks, n_lines, line.box, -1);
        lfm2__str_puts(s, "\n");
        tsv_row(s, 5, i + 1, n_blocks, n_lines, line.box, line.confidence);
        lfm2__put_cell(s, line.text, line.n);
        lfm2__str_puts(s, "\n");
    }
}
