// What a careless edit of the child side would look like: it allocates. For the test that the symbol check
// fails.
#include <unistd.h>

int* offend();
int* offend() { return new int(::getpid()); }
