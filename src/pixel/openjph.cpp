/* openjph: lossless HTJ2K encoding by OpenJPH, the one file of C++: a C function around its classes. No exception leaves it. */
#include "j2k.h"

#include <cstdio>
#include <exception>
#include <openjph/ojph_arch.h>
#include <openjph/ojph_file.h>
#include <openjph/ojph_mem.h>
#include <openjph/ojph_params.h>
#include <openjph/ojph_codestream.h>
#include <openjph/ojph_message.h>
#include <stdexcept>

namespace {

class sink : public ojph::outfile_base {
  public:
    explicit sink(const htj2k_job *job) : job_(job) {}
    size_t write(const void *p, size_t n) override {
        if (!job_->write(job_->ctx, p, n)) throw std::runtime_error("no memory for an encoded frame");
        written_ += static_cast<ojph::si64>(n);
        return n;
    }
    ojph::si64 tell() override { return written_; }

  private:
    const htj2k_job *job_;
    ojph::si64 written_ = 0;
};

/* The library's own handler prints to standard error. */
class quiet_error : public ojph::message_error {
  public:
    void operator()(int code, const char *, int, const char *, ...) override {
        char text[64];
        std::snprintf(text, sizeof text, "OpenJPH error %08x", static_cast<unsigned>(code));
        throw std::runtime_error(text);
    }
};

void configure(ojph::codestream &stream, const htj2k_job *job) {
    ojph::param_siz siz = stream.access_siz();
    siz.set_image_extent(ojph::point(job->columns, job->rows));
    siz.set_num_components(job->components);
    for (uint32_t c = 0; c < job->components; c++) siz.set_component(c, ojph::point(1, 1), job->bits, job->is_signed);
    siz.set_tile_size(ojph::size(job->columns, job->rows));
    ojph::param_cod cod = stream.access_cod();
    cod.set_num_decomposition(job->levels);
    cod.set_block_dims(64, 64);
    cod.set_progression_order("RPCL");
    cod.set_color_transform(job->transform_colour);
    cod.set_reversible(true);
    stream.set_planar(!job->transform_colour);
}

void encode(const htj2k_job *job) {
    static quiet_error on_error;
    static const bool configured = (ojph::configure_error(&on_error), true);
    (void)configured;
    ojph::codestream stream;
    sink out(job);
    configure(stream, job);
    stream.write_headers(&out);
    ojph::ui32 component = 0;
    ojph::line_buf *line = stream.exchange(nullptr, component);
    uint64_t rows = static_cast<uint64_t>(job->rows) * job->components;
    uint32_t next[4] = { 0, 0, 0, 0 };
    for (uint64_t i = 0; i < rows; i++) {
        job->row(job->ctx, component, next[component]++, line->i32);
        line = stream.exchange(line, component);
    }
    stream.flush();
    stream.close();
}

} // namespace

extern "C" int htj2k_encode(const htj2k_job *job, char *message, size_t size) {
    try {
        encode(job);
        return 0;
    } catch (const std::exception &e) {
        std::snprintf(message, size, "%s", e.what());
    } catch (...) {
        std::snprintf(message, size, "OpenJPH failed");
    }
    return -1;
}
