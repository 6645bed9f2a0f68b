// Which of the devices that plugins report are the same one.
#include "core/scheduler/candidates.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <deque>

namespace realizar {
namespace {

class CandidatesTest : public testing::Test {
  protected:
    // `uuid` 0: the plugin does not know it.
    void add(const char *plugin, const char *id, uint32_t kind, const char *name, uint8_t uuid) {
        rz_device_info &info = infos_.emplace_back();
        info.kind = kind;
        std::snprintf(info.name, sizeof info.name, "%s", name);
        std::snprintf(info.id, sizeof info.id, "%s", id);
        info.uuid[7] = uuid;
        list_.push_back({plugin, 0, 0, id, &info});
    }
    std::vector<std::string> kept() {
        leave_out_doubles(list_);
        std::vector<std::string> labels;
        for (const Candidate &candidate : list_)
            labels.push_back(candidate.label());
        return labels;
    }

  private:
    std::deque<rz_device_info> infos_; // stay where they are
    Candidates list_;
};
using Labels = std::vector<std::string>;

TEST_F(CandidatesTest, OneGpuOfTwoPluginsIsOne) {
    add("vulkan", "0", RZ_DEVICE_GPU, "GPU", 1);
    add("vulkan", "1", RZ_DEVICE_GPU, "other GPU", 2);
    add("opencl", "0", RZ_DEVICE_GPU, "GPU by another name", 1);
    add("opencl", "1", RZ_DEVICE_GPU, "third GPU", 3);
    EXPECT_EQ(kept(), (Labels{"vulkan:0", "vulkan:1", "opencl:1"}));
}

TEST_F(CandidatesTest, UnknownUuidsAreNotEqual) {
    add("vulkan", "0", RZ_DEVICE_GPU, "GPU", 0);
    add("opencl", "0", RZ_DEVICE_GPU, "GPU", 0);
    EXPECT_EQ(kept(), (Labels{"vulkan:0", "opencl:0"}));
}

TEST_F(CandidatesTest, TwinsOfAPluginAreOne) {
    add("vulkan", "0", RZ_DEVICE_GPU, "GPU", 1);
    add("vulkan", "1", RZ_DEVICE_GPU, "GPU", 2);
    EXPECT_EQ(kept(), Labels{"vulkan:0"});
}

TEST_F(CandidatesTest, SoftwareDriversYieldToTheCpuPlugin) {
    add("cpu", "0", RZ_DEVICE_CPU, "CPU", 0);
    add("vulkan", "0", RZ_DEVICE_CPU, "llvmpipe", 1);
    add("reference", "0", RZ_DEVICE_CPU, "reference", 0);
    EXPECT_EQ(kept(), (Labels{"cpu:0", "reference:0"}));
}

TEST_F(CandidatesTest, SoftwareDriversStayWithoutIt) {
    add("vulkan", "0", RZ_DEVICE_CPU, "llvmpipe", 1);
    add("reference", "0", RZ_DEVICE_CPU, "reference", 0);
    EXPECT_EQ(kept(), (Labels{"vulkan:0", "reference:0"}));
}

} // namespace
} // namespace realizar
