"""The adapters that come with wanbridge, by name; each is imported when it is asked for."""

BUILTIN = {
    "runware": "wanbridge.providers.runware:Runware",
    "reapi": "wanbridge.providers.reapi:ReApi",
    "dashscope": "wanbridge.providers.dashscope:DashScope",
    "gccai": "wanbridge.providers.gccai:Gccai",
    "kie": "wanbridge.providers.kie:Kie",
    "empiriolabs": "wanbridge.providers.empiriolabs:EmpirioLabs",
    "crun": "wanbridge.providers.crun:Crun",
}
