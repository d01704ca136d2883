/* The engine interface: what a plugin library offers to the plugin host.
 *
 * Plain C, so that a plugin may be built with other flags, another libstdc++ ABI or another compiler than the host.
 * A plugin exports one function, `mmt_engine_plugin`, which returns a table of calls.
 *
 * Every call returns MMT_ENGINE_OK or another code of mmt_engine_code, and then fills `error` with a message of at most
 * `error->capacity` bytes including the final zero. No call throws, prints or keeps pointers of its arguments.
 * An engine and its sessions are used by one thread at a time: the one that created the engine.
 *
 * JSON texts: engine/engine_json.h gives their fields.
 */
#ifndef MMT_ENGINE_H_
#define MMT_ENGINE_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Raised whenever a struct below or the meaning of a call changes. */
#define MMT_ENGINE_ABI_VERSION 7
#define MMT_ENGINE_ENTRY "mmt_engine_plugin"

/* Same order as mmt::ErrorCode, shifted by one. */
typedef enum mmt_engine_code {
  MMT_ENGINE_OK = 0,
  MMT_ENGINE_INVALID_ARGUMENT = 1,
  MMT_ENGINE_PARSE = 2,
  MMT_ENGINE_NOT_FOUND = 3,
  MMT_ENGINE_IO = 4,
  MMT_ENGINE_UNSUPPORTED = 5,
  MMT_ENGINE_ENGINE = 6,
  MMT_ENGINE_CRASHED = 7,
  MMT_ENGINE_TIMEOUT = 8,
  MMT_ENGINE_CORRUPT = 9,
  MMT_ENGINE_INTERRUPTED = 10
} mmt_engine_code;

typedef struct mmt_engine mmt_engine;
typedef struct mmt_engine_session mmt_engine_session;

typedef struct mmt_engine_error {
  char* text;
  size_t capacity;
} mmt_engine_error;

/* One visit to a session: several runs, each with fresh input that is written outside of the timed part. */
typedef struct mmt_engine_run {
  int32_t runs;           /* in: at least 1 */
  int32_t profile;        /* in: not 0: time every kernel */
  int64_t displace_bytes; /* in: 0, or bytes of other memory to read before each run (RunRequest::displace_bytes) */
  int32_t settling_runs;  /* in: after the first, so many runs before which none is read */
  double* run_us;         /* out: [runs] */
  float* kernel_us;       /* out: [runs][kernels]; NULL where profile is 0 */
  double overhead_us;     /* out: time of the call that is not in run_us */
  double steal_share;     /* out: 0..1, -1 where unreadable */
  int32_t migrations;     /* out: -1 where unreadable */
} mmt_engine_run;

/* Sessions run one after another, `times` times over, with profiled kernels, on inputs that are written before each
 * run. A session may stand at several places. Each finds the memory of its activations as near as in a model. */
typedef struct mmt_engine_chain {
  int32_t times;      /* in: at least 1 */
  float* kernel_us;   /* out: [times][kernels of all sessions, in order] */
  double timed_us;    /* out: time of all runs */
  double waited_us;   /* out: time that the loops take besides: threads wake up, inputs and activations are written */
  double overhead_us; /* out: time of the call that is in neither */
  double steal_share; /* out: 0..1, -1 where unreadable */
} mmt_engine_chain;

/* Flat arrays of floats, row-major in the logical order of the dimensions, whatever the tensor's layout and type. */
typedef struct mmt_engine_array {
  float* data;
  size_t count;
} mmt_engine_array;

typedef struct mmt_engine_plugin_api {
  int32_t abi_version; /* MMT_ENGINE_ABI_VERSION of the plugin's build */
  size_t struct_size;  /* sizeof(mmt_engine_plugin_api) of the plugin's build */

  /* Starts the engine and checks that it works (version, a tiny model with known results). `config_json`: EngineConfig.
   */
  int (*create)(const char* config_json, mmt_engine** engine, mmt_engine_error* error);
  void (*destroy)(mmt_engine* engine); /* after all its sessions were closed */

  /* EngineFacts as JSON; the text lives as long as the engine. */
  int (*facts)(mmt_engine* engine, const char** json, mmt_engine_error* error);

  /* Loads a model. `options_json`: OpenOptions. */
  int (*open)(mmt_engine* engine, const char* path, const char* options_json, mmt_engine_session** session,
              mmt_engine_error* error);
  void (*close)(mmt_engine_session* session);

  /* SessionDesc as JSON; the text lives until the next call for this session. No kernel is executed. */
  int (*describe)(mmt_engine_session* session, const char** json, mmt_engine_error* error);

  int (*run)(mmt_engine_session* session, mmt_engine_run* run, mmt_engine_error* error);

  /* `sessions`: of one engine. */
  int (*run_chain)(mmt_engine_session* const* sessions, size_t count, mmt_engine_chain* chain, mmt_engine_error* error);

  /* Runs once on given inputs. `inputs` and `outputs` are in the order of SessionDesc and of the sizes given there. */
  int (*compute)(mmt_engine_session* session, const mmt_engine_array* inputs, size_t input_count,
                 mmt_engine_array* outputs, size_t output_count, mmt_engine_error* error);

  /* Resident memory of this process in MiB, and its peak since the last call; 0 where unreadable. */
  int (*memory)(mmt_engine* engine, double* resident_mib, double* peak_mib, mmt_engine_error* error);
} mmt_engine_plugin_api;

/* NULL where the plugin cannot serve a host of that ABI version. The table lives as long as the library. */
typedef const mmt_engine_plugin_api* (*mmt_engine_plugin_entry)(int32_t host_abi_version);

#ifdef __cplusplus
}
#endif
#endif /* MMT_ENGINE_H_ */
