// The tests of each level, one function per file of tests. The lists depend only on the arguments,
// so a run can be repeated.
#pragma once

#include "tools/ctk/case.h"
#include "tools/ctk/discover.h"

#include <string>

namespace realizar::ctk {

// Level 0, handshake.
void add_file_cases(const std::string &plugin, CaseList &cases);
void add_entry_cases(CaseList &cases);
void add_driver_cases(CaseList &cases);
// Level 1, memory, timelines, submissions.
void add_buffer_cases(CaseList &cases);
void add_timeline_cases(CaseList &cases);
void add_submit_cases(CaseList &cases);
void add_steps_cases(CaseList &cases);
void add_fault_cases(CaseList &cases);
void add_growth_cases(CaseList &cases);
void add_thread_cases(CaseList &cases);
// Level 2, operators: what is claimed must compute, what is not must say so.
void add_claim_cases(const Offer &offer, CaseList &cases);
void add_operator_cases(const Offer &offer, CaseList &cases);
// Level 3, graphs.
void add_graph_cases(const Offer &offer, CaseList &cases);

} // namespace realizar::ctk
