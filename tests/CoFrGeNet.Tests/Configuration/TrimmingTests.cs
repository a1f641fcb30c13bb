using System.Diagnostics.CodeAnalysis;
using System.Reflection;
using System.Text.Json.Serialization.Metadata;
using CoFrGeNet.Configuration;

namespace CoFrGeNet.Tests.Configuration;

public class TrimmingTests
{
    [Fact]
    public void Every_record_of_the_model_tree_keeps_its_constructor_ahead_of_time()
    {
        // Without it absent members would silently get the default of their type instead of that of their record.
        var kept = typeof(StrictJson).GetMethods(BindingFlags.NonPublic | BindingFlags.Static).SelectMany(method => method.GetCustomAttributes<DynamicDependencyAttribute>())
            .Select(dependency => dependency.Type).ToHashSet();
        var records = new HashSet<Type>();
        Walk(ConfigJsonContext.Default.ModelFolderConfig, records);
        Walk(ConfigJsonContext.Default.Preset, records);
        var built = records.Where(type => !type.IsAbstract && type.GetConstructor(Type.EmptyTypes) is not null).ToArray();
        Assert.True(built.Length >= 20, $"only {built.Length} records were found");
        Assert.Empty(built.Where(type => !kept.Contains(type)).Select(type => type.Name));
    }

    private static void Walk(JsonTypeInfo type, HashSet<Type> records)
    {
        if (type.ElementType is { } element && type.Kind == JsonTypeInfoKind.Enumerable)
        {
            Walk(type.Options.GetTypeInfo(element), records);
        }

        if (type.Kind != JsonTypeInfoKind.Object || !records.Add(type.Type))
        {
            return;
        }

        foreach (var next in type.Properties.Select(property => property.PropertyType).Concat(type.PolymorphismOptions?.DerivedTypes.Select(derived => derived.DerivedType) ?? []))
        {
            Walk(type.Options.GetTypeInfo(next), records);
        }
    }
}
