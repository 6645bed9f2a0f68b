#include "plugins/vulkan/vk/pipelines.h"

#include "plugins/vulkan/vk/gpu.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

namespace realizar::vulkan {

namespace {

const Shader *find(const std::string &name) {
    for (const Shader &shader : all_shaders())
        if (name == shader.name) return &shader;
    return nullptr;
}

} // namespace

Pipelines::Pipelines(Gpu &gpu) : gpu_(gpu) {
    const VkPushConstantRange range = {VK_SHADER_STAGE_COMPUTE_BIT, 0, kPushBytes};
    VkPipelineLayoutCreateInfo info = {};
    info.sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO;
    info.pushConstantRangeCount = 1;
    info.pPushConstantRanges = &range;
    check(gpu.vk().vkCreatePipelineLayout(gpu.handle(), &info, nullptr, &layout_),
          "vkCreatePipelineLayout");
    load();
}

Pipelines::~Pipelines() {
    const VolkDeviceTable &vk = gpu_.vk();
    for (const auto &[key, pipeline] : made_)
        vk.vkDestroyPipeline(gpu_.handle(), pipeline, nullptr);
    vk.vkDestroyPipelineCache(gpu_.handle(), cache_, nullptr);
    vk.vkDestroyPipelineLayout(gpu_.handle(), layout_, nullptr);
}

bool Pipelines::has(const std::string &name) { return find(name) != nullptr; }

std::string Pipelines::cache_key() const {
    std::string key = "vulkan-1-";
    for (const uint8_t byte : gpu_.physical().properties.pipelineCacheUUID) {
        char text[3];
        std::snprintf(text, sizeof(text), "%02x", byte);
        key += text;
    }
    return key;
}

// The driver checks vendor, device and UUID in the header itself; a blob that is cut or of another
// device is as good as none.
void Pipelines::load() {
    const rz_host &host = gpu_.host();
    std::vector<std::byte> blob;
    uint64_t size = 0;
    if (host.cache_get(host.self, cache_key().c_str(), nullptr, &size) == RZ_BUSY &&
        size < (uint64_t{64} << 20)) {
        blob.resize(size);
        if (host.cache_get(host.self, cache_key().c_str(), blob.data(), &size) != RZ_OK)
            blob.clear();
    }
    VkPipelineCacheHeaderVersionOne header = {};
    const VkPhysicalDeviceProperties &properties = gpu_.physical().properties;
    if (blob.size() >= sizeof(header)) std::memcpy(&header, blob.data(), sizeof(header));
    const bool ours =
        header.headerVersion == VK_PIPELINE_CACHE_HEADER_VERSION_ONE &&
        header.vendorID == properties.vendorID && header.deviceID == properties.deviceID &&
        std::memcmp(header.pipelineCacheUUID, properties.pipelineCacheUUID, VK_UUID_SIZE) == 0;
    VkPipelineCacheCreateInfo info = {};
    info.sType = VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO;
    info.initialDataSize = ours ? blob.size() : 0;
    info.pInitialData = ours ? blob.data() : nullptr;
    check(gpu_.vk().vkCreatePipelineCache(gpu_.handle(), &info, nullptr, &cache_),
          "vkCreatePipelineCache");
}

void Pipelines::save() {
    const std::lock_guard lock(mutex_);
    if (!changed_) return;
    changed_ = false;
    size_t size = 0;
    if (gpu_.vk().vkGetPipelineCacheData(gpu_.handle(), cache_, &size, nullptr) != VK_SUCCESS)
        return;
    std::vector<std::byte> blob(size);
    if (gpu_.vk().vkGetPipelineCacheData(gpu_.handle(), cache_, &size, blob.data()) != VK_SUCCESS)
        return;
    const rz_host &host = gpu_.host();
    // A store that cannot keep it costs time at the next start, nothing else.
    host.cache_put(host.self, cache_key().c_str(), blob.data(), size);
}

VkPipeline Pipelines::get(const std::string &name, std::span<const uint32_t> constants) {
    const std::lock_guard lock(mutex_);
    auto key = std::pair(name, std::vector<uint32_t>(constants.begin(), constants.end()));
    if (const auto found = made_.find(key); found != made_.end()) return found->second;
    const Shader *shader = find(name);
    if (!shader) raise(RZ_INTERNAL, "this build has no shader '%s'", name.c_str());
    const VkPipeline pipeline = make(*shader, constants);
    made_.emplace(std::move(key), pipeline);
    changed_ = true;
    return pipeline;
}

VkPipeline Pipelines::make(const Shader &shader, std::span<const uint32_t> constants) {
    const VolkDeviceTable &vk = gpu_.vk();
    VkShaderModuleCreateInfo module_info = {};
    module_info.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO;
    module_info.codeSize = shader.bytes;
    module_info.pCode = shader.words;
    VkShaderModule module = VK_NULL_HANDLE;
    check(vk.vkCreateShaderModule(gpu_.handle(), &module_info, nullptr, &module),
          "vkCreateShaderModule");
    std::vector<VkSpecializationMapEntry> entries;
    for (uint32_t i = 0; i < constants.size(); ++i)
        entries.push_back({i, i * 4, 4});
    VkSpecializationInfo specialisation = {};
    specialisation.mapEntryCount = static_cast<uint32_t>(entries.size());
    specialisation.pMapEntries = entries.data();
    specialisation.dataSize = constants.size_bytes();
    specialisation.pData = constants.data();
    VkComputePipelineCreateInfo info = {};
    info.sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO;
    info.stage.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO;
    info.stage.stage = VK_SHADER_STAGE_COMPUTE_BIT;
    info.stage.module = module;
    info.stage.pName = "main";
    info.stage.pSpecializationInfo = &specialisation;
    info.layout = layout_;
    VkPipeline pipeline = VK_NULL_HANDLE;
    const VkResult result =
        vk.vkCreateComputePipelines(gpu_.handle(), cache_, 1, &info, nullptr, &pipeline);
    vk.vkDestroyShaderModule(gpu_.handle(), module, nullptr);
    check(result, "vkCreateComputePipelines");
    return pipeline;
}

} // namespace realizar::vulkan
