// Arguments of kernels with many operands: operands in one memory object share an argument, because drivers
// spend time on each. Recorder::launch_joined defines BUFFERS, the number of such arguments, and SLOT0,
// SLOT1 ...: that of each operand.
#define PASTE_AS_IS(a, b) a##b
#define PASTE(a, b) PASTE_AS_IS(a, b)

#define BUFFERS_1 Bytes buffer_0
#define BUFFERS_2 BUFFERS_1, Bytes buffer_1
#define BUFFERS_3 BUFFERS_2, Bytes buffer_2
#define BUFFERS_4 BUFFERS_3, Bytes buffer_3
#define BUFFERS_5 BUFFERS_4, Bytes buffer_4
#define BUFFERS_6 BUFFERS_5, Bytes buffer_5
#define BUFFERS_7 BUFFERS_6, Bytes buffer_6
#define BUFFERS_8 BUFFERS_7, Bytes buffer_7
#define BUFFERS_9 BUFFERS_8, Bytes buffer_8
#define BUFFERS_10 BUFFERS_9, Bytes buffer_9
#define BUFFERS_11 BUFFERS_10, Bytes buffer_10
#define BUFFERS_12 BUFFERS_11, Bytes buffer_11
#define BUFFER_ARGUMENTS PASTE(BUFFERS_, BUFFERS)

#define OPERAND(i) PASTE(buffer_, SLOT##i)
