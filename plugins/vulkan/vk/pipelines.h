// Compute pipelines, made when first asked for and kept; compiled code goes to the host's cache.
#pragma once

#include "plugins/vulkan/vk/failure.h"

#include <initializer_list>
#include <map>
#include <mutex>
#include <span>
#include <string>
#include <vector>

namespace realizar::vulkan {

class Gpu;

// A shader of this plugin: the table is made by CMakeLists.txt.
struct Shader {
    const char *name;
    const uint32_t *words;
    size_t bytes;
};
std::span<const Shader> all_shaders();

constexpr uint32_t kPushBytes = 128; // what every device has

class Pipelines {
  public:
    explicit Pipelines(Gpu &gpu);
    ~Pipelines();
    Pipelines(const Pipelines &) = delete;
    Pipelines &operator=(const Pipelines &) = delete;

    // [any-thread] The pipeline of shader `name` with specialisation constants 0, 1, ...
    VkPipeline get(const std::string &name, std::span<const uint32_t> constants);
    // False where this build left the shader out.
    static bool has(const std::string &name);
    VkPipelineLayout layout() const { return layout_; }
    // Writes the cache if there are new pipelines.
    void save();

  private:
    std::string cache_key() const;
    void load();
    VkPipeline make(const Shader &shader, std::span<const uint32_t> constants);

    Gpu &gpu_;
    std::mutex mutex_;
    VkPipelineLayout layout_ = VK_NULL_HANDLE;
    VkPipelineCache cache_ = VK_NULL_HANDLE;
    std::map<std::pair<std::string, std::vector<uint32_t>>, VkPipeline> made_;
    bool changed_ = false;
};

} // namespace realizar::vulkan
