"""The fixtures that all tests share, from `support`, and the profile of hypothesis."""

from hypothesis import HealthCheck, settings

pytest_plugins = [
    "support.colour_model",
    "support.cpu_time",
    "support.files",
    "support.found",
    "support.object_store",
    "support.own_classes",
    "support.patient_model",
]

# Every run tries the same examples, and no example fails because the machine is busy.
settings.register_profile("leukopy", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("leukopy")
