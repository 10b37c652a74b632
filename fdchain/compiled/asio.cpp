// All of asio that is no template, compiled once; see BOOST_ASIO_SEPARATE_COMPILATION.
#include <netdb.h>

// Nothing of ours looks a name up, and a static libc's resolver would be linked for what nobody calls.
extern "C" {
static inline int no_getaddrinfo(const char*, const char*, const addrinfo*, addrinfo**) { return EAI_FAIL; }
static inline int no_getnameinfo(const sockaddr*, socklen_t, char*, socklen_t, char*, socklen_t, int) {
  return EAI_FAIL;
}
static inline void no_freeaddrinfo(addrinfo*) {}
}
#define getaddrinfo no_getaddrinfo
#define getnameinfo no_getnameinfo
#define freeaddrinfo no_freeaddrinfo

#include <boost/asio/impl/src.hpp>
